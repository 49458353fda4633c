"""Makes the golden files of this folder with transformers.

Tiny models of the families that are tested, with random weights scaled up until replies differ from prompt to prompt and
from picture to picture, each saved as its family's checkpoints are on the Hub, with transformers' greedy replies (f32,
eager attention) to a few conversations about 8-bit pictures.

    python make_goldens.py                    all tiny models, into golden/
    python make_goldens.py idefics3 llava     some of them

Needs torch, transformers 5, tokenizers, pillow and numpy. The same versions make the same files.
"""

import argparse
import base64
import json
import shutil
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from PIL import Image
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

GOLDEN = Path(__file__).parent / "golden"
TOKENS = 24  # of a reply, at most
CLEAR = 0.005  # least distance of the two likeliest tokens' log probabilities, so that rounding changes no reply

WORDS = (
    "the a is of in red green blue yellow black white circle square triangle star above below left right large small what "
    "where how many shapes picture describe this and which colour one two three yes no User Assistant System you see"
).split()
WHOLE = "é ü ñ ß – ✓ 漢 字 я 🙂".split()

# --- tokenizers ---------------------------------------------------------------------------------------------------


def merges_of(words):
    """Merges that build each word from its left; in an order that depends on the words alone."""
    merges = {}
    for word in words:
        for end in range(1, len(word)):
            merges.setdefault((word[:end], word[end]))
    return list(merges)


def byte_level(specials, template):
    """A byte-level BPE, as Idefics3 and Qwen have it. `template` is the chat template."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    split = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    coded = [split.pre_tokenize_str(word)[0][0] for word in [" " + w for w in WORDS] + WORDS[-5:] + WHOLE]
    merges = merges_of(coded)
    vocabulary = {}
    for token in symbols + [a + b for a, b in merges] + specials:
        vocabulary.setdefault(token, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    return tokenizer, template


def byte_fallback(specials, template, legacy):
    """A BPE over characters that falls back to bytes, as Llama (`legacy`: a space before every text) and Gemma have it."""
    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = sorted(set("".join(WORDS)) | set("?.,!:'") | {"▁", "\n", *WHOLE} | set("0123456789IASTUERN"))
    merges = merges_of(["▁" + word for word in WORDS] + WORDS[-5:])
    vocabulary = {}
    for token in specials + byte_tokens + letters + [a + b for a, b in merges]:
        vocabulary.setdefault(token, len(vocabulary))
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    replace = normalizers.Replace(" ", "▁")
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if legacy:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), replace])
        tokenizer.decoder = decoders.Sequence(steps + [decoders.Strip(" ", 1, 0)])
    else:
        tokenizer.normalizer = replace
        tokenizer.decoder = decoders.Sequence(steps)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    return tokenizer, template


def write_tokenizer(directory, made, **config):
    tokenizer, template = made
    tokenizer.save(str(directory / "tokenizer.json"))
    added = {
        str(id): dict(content=t.content, lstrip=t.lstrip, normalized=t.normalized, rstrip=t.rstrip, single_word=t.single_word, special=t.special)
        for id, t in sorted(tokenizer.get_added_tokens_decoder().items())
    }
    write(directory / "tokenizer_config.json", {"added_tokens_decoder": added, "clean_up_tokenization_spaces": False, "model_max_length": 2048, **config})
    (directory / "chat_template.jinja").write_text(template)
    return tokenizer


# --- weights ------------------------------------------------------------------------------------------------------


def randomise(model, tokenizer, seed, gain=1.6, sharp=0.5):
    """Weights large enough for attention to be sharp and inputs to matter. Tokens that aren't whole characters by
    themselves, and special ones, have small rows where logits are made, so that replies are plain text."""
    generator = torch.Generator().manual_seed(seed)
    quiet = torch.tensor([not is_plain(tokenizer, id) for id in range(tokenizer.get_vocab_size())])
    head = model.get_output_embeddings().weight
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.dim() == 1:
                # Gemma's norms are stored as what is added to 1.
                scale = "norm" in name.lower() and name.endswith("weight") and "gemma" not in type(model).__name__.lower()
                parameter.copy_(noise * 0.1 + (1.0 if scale else 0.0))
            elif parameter is head:
                noise[quiet] *= 0.1
                parameter.copy_(noise * sharp)
            elif "embed" in name and parameter.dim() == 2:
                parameter.copy_(noise)
            else:
                parameter.copy_(noise * gain / parameter[0].numel() ** 0.5)
            parameter.copy_(parameter.half())
    return model.eval()


def is_plain(tokenizer, id):
    token = tokenizer.id_to_token(id)
    if id in tokenizer.get_added_tokens_decoder() or token.startswith("<0x"):
        return False
    text = tokenizer.decode([id])
    return "�" not in text and text.isprintable() and (len(text.strip()) > 0)


def save(model, directory, rename=lambda name: name):
    """Writes the weights, once each, in f16, under the names that the Hub's checkpoints have."""
    tensors, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen and "position_ids" not in name and "inv_freq" not in name:
            seen.add(tensor.data_ptr())
            tensors[rename(name)] = tensor.half().contiguous()
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def write(path, value):
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


# --- models -------------------------------------------------------------------------------------------------------

TEXT = dict(
    hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=2048, rms_norm_eps=1e-5, hidden_act="silu",
)


def make_idefics3(directory):
    """SmolVLM's layout: one tile a picture."""
    specials = ["<|endoftext|>", "<|im_start|>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>"]
    template = (
        "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}:"
        "{% if message.content is string %} {{ message.content }}{% else %}"
        "{% if message.content[0].type != 'image' %} {% endif %}"
        "{% for part in message.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}"
        "{% endif %}<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
    )
    tokenizer = write_tokenizer(
        directory, byte_level(specials, template), tokenizer_class="PreTrainedTokenizerFast", processor_class="Idefics3Processor",
        bos_token="<|im_start|>", eos_token="<end_of_utterance>", pad_token="<|endoftext|>", unk_token="<|endoftext|>",
        additional_special_tokens=specials[2:4] + specials[5:],
    )
    ids = {name: tokenizer.token_to_id(token) for name, token in (
        ("bos_token_id", "<|im_start|>"), ("eos_token_id", "<end_of_utterance>"), ("pad_token_id", "<|endoftext|>"),
    )}
    vision = dict(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_channels=3, image_size=32,
        patch_size=8, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6,
    )
    rope = {"rope_theta": 10000.0, "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}
    size = tokenizer.get_vocab_size()
    config = {
        "architectures": ["Idefics3ForConditionalGeneration"], "model_type": "idefics3", "torch_dtype": "float16",
        "image_token_id": tokenizer.token_to_id("<image>"), "scale_factor": 2, "tie_word_embeddings": False, "vocab_size": size, **ids,
        "vision_config": {"model_type": "idefics3_vision", **vision},
        "text_config": {"model_type": "llama", "head_dim": 16, "tie_word_embeddings": False, "vocab_size": size, **rope, **TEXT, **ids},
    }
    write(directory / "config.json", config)
    write(directory / "generation_config.json", {**ids, "eos_token_id": [ids["eos_token_id"], ids["pad_token_id"]]})
    write(directory / "preprocessor_config.json", {
        "image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor", "do_convert_rgb": True,
        "do_image_splitting": False, "do_normalize": True, "do_pad": True, "do_rescale": True, "do_resize": True,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "max_image_size": {"longest_edge": 32}, "resample": 1,
        "rescale_factor": 1 / 255, "size": {"longest_edge": 32},
    })
    write(directory / "processor_config.json", {"image_seq_len": 4, "processor_class": "Idefics3Processor"})
    model = tf.Idefics3ForConditionalGeneration(tf.AutoConfig.from_pretrained(directory))
    save(randomise(model, tokenizer, 1), directory)


CHATML = (
    "{% for message in messages %}{% if loop.first and message.role != 'system' %}<|im_start|>system\nYou see shapes.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ message.role }}\n{% if message.content is string %}{{ message.content }}{% else %}"
    "{% for part in message.content %}{% if part.type == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part.text }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]


def qwen(directory, processor):
    """The files that both Qwens have alike. Returns the tokenizer and the ids of its special tokens."""
    tokenizer = write_tokenizer(
        directory, byte_level(QWEN, CHATML), tokenizer_class="Qwen2Tokenizer", processor_class=processor, bos_token=None,
        eos_token="<|im_end|>", pad_token="<|endoftext|>", unk_token=None, add_prefix_space=False,
    )
    ids = {token: tokenizer.token_to_id(token) for token in QWEN}
    ends = {"bos_token_id": ids["<|endoftext|>"], "pad_token_id": ids["<|endoftext|>"]}
    write(directory / "generation_config.json", {**ends, "eos_token_id": [ids["<|im_end|>"], ids["<|endoftext|>"]]})
    return tokenizer, ids


def make_qwen2_5_vl(directory):
    """Pictures of many sizes; two of the three vision layers look through windows."""
    tokenizer, ids = qwen(directory, "Qwen2_5_VLProcessor")
    write(directory / "config.json", {
        "architectures": ["Qwen2_5_VLForConditionalGeneration"], "model_type": "qwen2_5_vl", "torch_dtype": "float16",
        "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"], "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"], "vision_token_id": ids["<|vision_pad|>"],
        **TEXT, "vocab_size": tokenizer.get_vocab_size(), "rope_theta": 1000000.0, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
        "use_sliding_window": False, "sliding_window": 2048, "max_window_layers": 2, "tie_word_embeddings": False,
        "vision_config": dict(
            depth=3, hidden_act="silu", hidden_size=32, intermediate_size=48, num_heads=2, in_chans=3, out_hidden_size=64, patch_size=8,
            spatial_merge_size=2, spatial_patch_size=8, window_size=32, fullatt_block_indexes=[1], tokens_per_second=2, temporal_patch_size=2,
        ),
    })
    write(directory / "preprocessor_config.json", {
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2_5_VLProcessor", "min_pixels": 256, "max_pixels": 16384,
        "patch_size": 8, "temporal_patch_size": 2, "merge_size": 2,
        "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
    })
    model = tf.Qwen2_5_VLForConditionalGeneration(tf.AutoConfig.from_pretrained(directory))
    old = lambda name: name.replace("model.language_model.", "model.").replace("model.visual.", "visual.")
    save(randomise(model, tokenizer, 2), directory, old)


def make_qwen3_vl(directory):
    """Pictures of many sizes, with positions between those learned, and features of two vision layers added in deeper."""
    tokenizer, ids = qwen(directory, "Qwen3VLProcessor")
    write(directory / "config.json", {
        "architectures": ["Qwen3VLForConditionalGeneration"], "model_type": "qwen3_vl", "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"], "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"], "tie_word_embeddings": False,
        "text_config": {
            "model_type": "qwen3_vl_text", "dtype": "float16", **TEXT, "head_dim": 16, "vocab_size": tokenizer.get_vocab_size(),
            "rope_theta": 5000000, "rope_scaling": {"mrope_interleaved": True, "mrope_section": [4, 2, 2], "rope_type": "default"},
            "attention_bias": False, "bos_token_id": ids["<|endoftext|>"], "eos_token_id": ids["<|im_end|>"], "tie_word_embeddings": False,
        },
        "vision_config": dict(
            model_type="qwen3_vl", depth=3, hidden_act="gelu_pytorch_tanh", hidden_size=32, intermediate_size=48, num_heads=2, in_channels=3,
            out_hidden_size=64, patch_size=8, spatial_merge_size=2, temporal_patch_size=2, num_position_embeddings=16,
            deepstack_visual_indexes=[0, 1],
        ),
    })
    write(directory / "preprocessor_config.json", {
        "image_processor_type": "Qwen2VLImageProcessorFast", "processor_class": "Qwen3VLProcessor",
        "size": {"longest_edge": 16384, "shortest_edge": 256}, "patch_size": 8, "temporal_patch_size": 2, "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
    })
    save(randomise(tf.Qwen3VLForConditionalGeneration(tf.AutoConfig.from_pretrained(directory)), tokenizer, 3), directory)


def make_gemma3(directory):
    """Pictures see themselves whole; two of three layers turn positions another way. Their window is wider than the prompts:
    mistral.rs makes it one token too wide while it reads one (mistralrs-core 0.8.1, layers_masker.rs:120)."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>", "<start_of_turn>", "<end_of_turn>", "<start_of_image>", "<end_of_image>", "<image_soft_token>"]
    template = (
        "{{ bos_token }}{% set first = '' %}{% if messages[0].role == 'system' %}"
        "{% set first = (messages[0].content if messages[0].content is string else messages[0].content[0].text) + '\n\n' %}"
        "{% set messages = messages[1:] %}{% endif %}{% for message in messages %}<start_of_turn>"
        "{% if message.role == 'assistant' %}model{% else %}{{ message.role }}{% endif %}\n{% if loop.first %}{{ first }}{% endif %}"
        "{% if message.content is string %}{{ message.content | trim }}{% else %}{% for part in message.content %}"
        "{% if part.type == 'image' %}<start_of_image>{% elif part.type == 'text' %}{{ part.text | trim }}{% endif %}{% endfor %}{% endif %}"
        "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
    )
    made = byte_fallback(specials, template, legacy=False)
    made[0].post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    tokenizer = write_tokenizer(
        directory, made, tokenizer_class="GemmaTokenizer", processor_class="Gemma3Processor", bos_token="<bos>", eos_token="<eos>",
        pad_token="<pad>", unk_token="<unk>", add_bos_token=True, add_eos_token=False, boi_token="<start_of_image>",
        eoi_token="<end_of_image>", image_token="<image_soft_token>",
    )
    ends = {"bos_token_id": 2, "pad_token_id": 0, "eos_token_id": [1, 5]}
    text = dict(
        TEXT, num_hidden_layers=3, head_dim=16, query_pre_attn_scalar=16, rms_norm_eps=1e-6, sliding_window=512, sliding_window_pattern=3,
        rope_theta=1000000.0, rope_local_base_freq=10000.0, rope_scaling={"factor": 8.0, "rope_type": "linear"},
        hidden_activation="gelu_pytorch_tanh", vocab_size=tokenizer.get_vocab_size(), model_type="gemma3_text",
    )
    del text["hidden_act"]
    write(directory / "config.json", {
        "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3", "torch_dtype": "float16", "mm_tokens_per_image": 4,
        "boi_token_index": 6, "eoi_token_index": 7, "image_token_index": 8, **ends, "text_config": text,
        "vision_config": dict(
            model_type="siglip_vision_model", hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_channels=3,
            image_size=32, patch_size=8, hidden_act="gelu_pytorch_tanh", layer_norm_eps=1e-6, vision_use_head=False,
        ),
    })
    write(directory / "generation_config.json", ends)
    write(directory / "preprocessor_config.json", {
        "image_processor_type": "Gemma3ImageProcessor", "processor_class": "Gemma3Processor", "do_convert_rgb": None, "do_normalize": True,
        "do_pan_and_scan": None, "do_rescale": True, "do_resize": True, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
        "image_seq_length": 4, "resample": 2, "rescale_factor": 1 / 255, "size": {"height": 32, "width": 32},
    })
    write(directory / "processor_config.json", {"image_seq_length": 4, "processor_class": "Gemma3Processor"})
    model = randomise(tf.Gemma3ForConditionalGeneration(tf.AutoConfig.from_pretrained(directory)), tokenizer, 4, sharp=0.08)
    with torch.no_grad():  # what layers add outweighs the token itself, or every reply would repeat it
        for name, parameter in model.named_parameters():
            if "post_attention_layernorm" in name or "post_feedforward_layernorm" in name or name.endswith("language_model.norm.weight"):
                parameter.copy_((parameter + (4.0 if "language_model.norm" in name else 6.0)).half())
    old = lambda name: ("language_model.model." + name[21:]) if name.startswith("model.language_model.") else name.removeprefix("model.").replace(
        "vision_tower.", "vision_tower.vision_model.").replace("vision_model.vision_model", "vision_model")
    save(model, directory, old)


def make_llava(directory):
    """LLaVA-1.5: a CLIP tower read at its last layer but one. Its pixels are all -1 or 1 after normalisation: mistral.rs
    rounds them to bf16 (mistralrs-core 0.8.1, vision_models/llava/llava_inputs_processor.rs:407), which these survive."""
    specials = ["<unk>", "<s>", "</s>", "<image>", "<pad>"]
    template = (
        "{% for message in messages %}{% if message.role != 'system' %}{{ message.role | upper }}: {% endif %}"
        "{% if message.content is string %}{{ message.content }} {% else %}"
        "{% for part in message.content %}{% if part.type == 'image' %}<image>\n{% endif %}{% endfor %}"
        "{% for part in message.content %}{% if part.type == 'text' %}{{ part.text }} {% endif %}{% endfor %}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )
    made = byte_fallback(specials, template, legacy=True)
    made[0].post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer = write_tokenizer(
        directory, made, tokenizer_class="LlamaTokenizer", processor_class="LlavaProcessor", bos_token="<s>", eos_token="</s>",
        pad_token="<pad>", unk_token="<unk>", add_bos_token=True, add_eos_token=False, legacy=True, image_token="<image>",
    )
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 4}
    write(directory / "config.json", {
        "architectures": ["LlavaForConditionalGeneration"], "model_type": "llava", "torch_dtype": "float16", "ignore_index": -100,
        "image_token_index": 3, "pad_token_id": 4, "projector_hidden_act": "gelu", "tie_word_embeddings": False,
        "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "image_seq_length": 16,
        "text_config": {"model_type": "llama", **TEXT, "vocab_size": tokenizer.get_vocab_size(), "tie_word_embeddings": False, "rope_theta": 10000.0, **ends},
        "vision_config": dict(
            model_type="clip_vision_model", hidden_size=32, image_size=32, intermediate_size=64, num_attention_heads=2, num_hidden_layers=3,
            patch_size=8, projection_dim=32, hidden_act="quick_gelu",
        ),
    })
    write(directory / "generation_config.json", ends)
    write(directory / "preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor", "processor_class": "LlavaProcessor", "do_convert_rgb": True, "do_center_crop": True,
        "crop_size": {"height": 32, "width": 32}, "do_normalize": True, "do_rescale": True, "do_resize": True, "resample": 3,
        "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 1 / 255, "size": {"shortest_edge": 32},
    })
    write(directory / "processor_config.json", {
        "image_token": "<image>", "num_additional_image_tokens": 1, "patch_size": 8, "processor_class": "LlavaProcessor",
        "vision_feature_select_strategy": "default",
    })
    model = tf.LlavaForConditionalGeneration(tf.AutoConfig.from_pretrained(directory))

    def old(name):
        name = name.removeprefix("model.")
        if name.startswith("language_model."):
            return "language_model.model." + name.removeprefix("language_model.")
        if name.startswith("vision_tower.") and not name.startswith("vision_tower.vision_model."):
            return "vision_tower.vision_model." + name.removeprefix("vision_tower.")
        return "language_model." + name if name.startswith("lm_head") else name

    save(randomise(model, tokenizer, 5), directory, old)


MODELS = {
    "idefics3": make_idefics3, "qwen2.5-vl": make_qwen2_5_vl, "qwen3-vl": make_qwen3_vl, "gemma3": make_gemma3, "llava-1.5": make_llava,
}

# --- expectations -------------------------------------------------------------------------------------------------


def conversations(two):
    """What is asked: of one picture, of none, over several turns, and of two pictures where the model reads `two`. A number
    is a picture's."""
    user = lambda *parts: {"role": "user", "parts": list(parts)}
    said = lambda text: {"role": "assistant", "parts": [text]}
    asked = [
        [user(0, "What is this?")],
        [user(1, "What is this?")],
        [user(2, "How many shapes are in this picture, and which is above the red one?")],
        [user(3, "Describe the picture: what is left, what is right")],
        [user("What is red?")],
        [user(0, "Is this a circle?"), said("Yes, a large circle."), user("Which colour is it? ✓ déjà vu 漢字 🙂")],
        [user("Hello"), said("You see no picture."), user(1, "And in this?")],
        [{"role": "system", "parts": ["You see shapes."]}, user(3, "a b c")],
    ]
    if two:
        asked += [[user(2, 3, "Which one of the two is blue?")], [user(0, "One."), said("Yes."), user(1, "And this?")]]
    return asked


def pictures(sizes, seed, saturated):
    """Blocks of random colours, uint8; all channels 0 or 255 if `saturated`."""
    rng = np.random.default_rng(seed)
    made = []
    for width, height in sizes:
        blocks = rng.integers(0, 256, (height // 4, width // 4, 3)).astype(np.uint8)
        made.append(np.where(blocks > 127, 255, 0).astype(np.uint8) if saturated else blocks)
    return made


def rendered(conversation):
    """As chat templates take messages, with the pictures' numbers."""
    messages, shown = [], []
    for message in conversation:
        content = []
        for part in message["parts"]:
            if isinstance(part, int):
                shown.append(part)
                content.append({"type": "image"})
            else:
                content.append({"type": "text", "text": part})
        messages.append({"role": message["role"], "content": content})
    return messages, shown


@torch.inference_mode()
def reply(model, tokenizer, inputs, image_token):
    made = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, output_logits=True, return_dict_in_generate=True)
    prompt = inputs["input_ids"].shape[1]
    ids = made.sequences[0, prompt:].tolist()
    steps = torch.log_softmax(torch.cat(made.logits).float(), -1)
    top = steps.topk(3)
    return {
        "prompt_tokens": prompt, "image_tokens": int((inputs["input_ids"] == image_token).sum()), "ids": ids,
        "text": tokenizer.decode(ids, skip_special_tokens=True),
        "logprobs": [round(step[id].item(), 6) for step, id in zip(steps, ids)],
        "top": [[[id, round(value, 6)] for id, value in zip(i, v)] for i, v in zip(top.indices.tolist(), top.values.tolist())],
    }, float((top.values[:, 0] - top.values[:, 1]).min())


def load(directory):
    model = tf.AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    return model.eval(), tf.AutoTokenizer.from_pretrained(directory)


def expectations(directory, *arguments, **named):
    """For the first pictures whose replies are all clear."""
    for seed in range(100):
        made = expected(directory, seed, *arguments, **named)
        if made:
            return made
    raise RuntimeError("no pictures have clear replies")


def expected(directory, seed, processor, sizes, two=True, saturated=False):
    model, tokenizer = load(directory)
    blocks = pictures(sizes, seed, saturated)
    images = [Image.fromarray(b.repeat(4, 0).repeat(4, 1)) for b in blocks]
    template = (directory / "chat_template.jinja").read_text()
    image_token = getattr(model.config, "image_token_id", None) or model.config.image_token_index
    prompts = []
    for conversation in conversations(two):
        messages, shown = rendered(conversation)
        text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False, add_generation_prompt=True)
        inputs = processor(model, tokenizer, text, [images[i] for i in shown])
        made, margin = reply(model, tokenizer, inputs, image_token)
        print(f"  {made['prompt_tokens']:4} tokens, {len(shown)} pictures, margin {margin:.3f}: {made['text']!r}")
        if margin < CLEAR:
            return None
        prompts.append({"messages": conversation, "prompt": text, **made})
    return {
        "made_with": f"transformers {tf.__version__}, torch {torch.__version__}",
        "max_tokens": TOKENS,
        "pictures": [
            {"width": i.width, "height": i.height, "block": 4, "rgb": base64.b64encode(b.tobytes()).decode()}
            for i, b in zip(images, blocks)
        ],
        "prompts": prompts,
    }


def expect_idefics3(directory):
    side = json.loads((directory / "preprocessor_config.json").read_text())["size"]["longest_edge"]

    def processor(model, tokenizer, text, images):
        image_processor = tf.Idefics3ImageProcessorPil.from_pretrained(directory)
        whole = tf.Idefics3Processor(image_processor=image_processor, tokenizer=tokenizer, image_seq_len=4)
        return whole(text=text, images=[images] if images else None, return_tensors="pt", add_special_tokens=False)

    return expectations(directory, processor, [(side, side)] * 4)


def expect_qwen(directory):
    """The placeholder of each picture stands for one token of every four patches."""

    def processor(model, tokenizer, text, images):
        inputs = {}
        if images:
            inputs = dict(tf.Qwen2VLImageProcessorPil.from_pretrained(directory)(images=images, return_tensors="pt"))
            head, *tails = text.split("<|image_pad|>")
            text = head + "".join("<|image_pad|>" * (int(grid.prod()) // 4) + tail for grid, tail in zip(inputs["image_grid_thw"], tails))
        inputs.update(tokenizer(text, add_special_tokens=False, return_tensors="pt"))
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == model.config.image_token_id).int()
        return inputs

    return expectations(directory, processor, [(32, 32), (48, 32), (64, 64), (48, 80)])


def expect_gemma3(directory):
    def processor(model, tokenizer, text, images):
        image_processor = tf.Gemma3ImageProcessorPil.from_pretrained(directory)
        whole = tf.Gemma3Processor(image_processor=image_processor, tokenizer=tokenizer, image_seq_length=4)
        return whole(text=text, images=[images] if images else None, return_tensors="pt", add_special_tokens=False)

    return expectations(directory, processor, [(32, 32)] * 4)


def expect_llava(directory):
    def processor(model, tokenizer, text, images):
        image_processor = tf.CLIPImageProcessorPil.from_pretrained(directory)
        whole = tf.LlavaProcessor(
            image_processor=image_processor, tokenizer=tokenizer, patch_size=8, vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
        )
        return whole(text=text, images=images or None, return_tensors="pt")

    return expectations(directory, processor, [(32, 32)] * 4, two=False, saturated=True)


EXPECT = {
    "idefics3": expect_idefics3, "qwen2.5-vl": expect_qwen, "qwen3-vl": expect_qwen, "gemma3": expect_gemma3, "llava-1.5": expect_llava,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*MODELS, []], help="tiny models to make; all by default")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    for name in arguments.names or MODELS:
        print(name)
        directory = GOLDEN / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        MODELS[name](directory)
        write_compact(directory / "expected.json", EXPECT[name](directory))


def write_compact(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
