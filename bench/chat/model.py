"""An Idefics3 of SmolVLM-256M's size with random weights, its tokenizer and a picture, in the Hugging Face layout.

    python bench/chat/model.py DIRECTORY
"""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

VOCABULARY = 49_280
SIDE = 512
PATCH = 16
SCALE = 4
IMAGE_TOKENS = (SIDE // PATCH // SCALE) ** 2
END, START, IMAGE, FAKE, GLOBAL, DONE = SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
)
TEMPLATE = """<|im_start|>{% for message in messages %}{{ message.role | capitalize }}:
{%- if message.content is string %} {{ message.content }}
{%- else %}{% for part in message.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}
{%- endif %}<end_of_utterance>
{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"""


def make(directory: pathlib.Path, seed: int = 1) -> None:
    """Saves the model in f32. Weights are larger than at the start of training, queries most of all, so that replies vary
    with the picture and from token to token; the rows of special tokens in the head are zero, so that greedy decoding
    never ends early."""
    directory.mkdir(parents=True, exist_ok=True)
    config = _config()
    model = transformers.Idefics3ForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2:
                base = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1 + base)
            else:
                scale = 1.0 if "embed_tokens" in name else parameter[0].numel() ** -0.5
                scale *= 4.0 if "text_model" in name and "q_proj" in name else 1.0
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
        model.lm_head.weight[: len(SPECIALS)] = 0.0
    model.eval().save_pretrained(directory)
    _tokenizer(directory)
    _configs(directory, config)


def picture(directory: pathlib.Path, index: int) -> pathlib.Path:
    """Writes a PNG of the model's own size, a different one for each index."""
    from PIL import Image

    rng = np.random.default_rng(index)
    coarse = rng.integers(0, 256, (16, 16, 3)).astype(np.float32).repeat(SIDE // 16, 0).repeat(SIDE // 16, 1)
    pixels = (coarse + rng.normal(0, 10, coarse.shape)).clip(0, 255).astype(np.uint8)
    path = directory / f"picture-{index}.png"
    Image.fromarray(pixels).save(path, compress_level=1)
    return path


def _config() -> transformers.Idefics3Config:
    rope = {"rope_type": "default", "rope_theta": 100_000.0}
    ids = {"bos_token_id": SPECIALS.index(START), "eos_token_id": SPECIALS.index(DONE), "pad_token_id": 0}
    return transformers.Idefics3Config(
        image_token_id=SPECIALS.index(IMAGE), scale_factor=SCALE, tie_word_embeddings=False, pad_token_id=0,
        vision_config={
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "image_size": SIDE, "patch_size": PATCH, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6,
        },
        text_config={
            "model_type": "llama", "vocab_size": VOCABULARY, "hidden_size": 576, "intermediate_size": 1536,
            "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64, "hidden_act": "silu",
            "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "rope_theta": 100_000.0, "rope_parameters": rope,
            "tie_word_embeddings": False, **ids,
        },
    )  # fmt: skip


def _tokenizer(directory: pathlib.Path) -> None:
    """Byte-level BPE: the special tokens, 256 bytes, and invented words for the rest, so that every id has a text."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = [f"\u0120w{index}" for index in range(VOCABULARY - len(SPECIALS) - len(letters))]
    vocabulary = {token: index for index, token in enumerate([*SPECIALS, *letters, *words])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIALS])
    tokenizer.save(str(directory / "tokenizer.json"))
    names = {"bos_token": START, "eos_token": DONE, "pad_token": END, "unk_token": END}
    added = {
        str(index): {"content": token, "special": True, "normalized": False, "lstrip": False, "rstrip": False, "single_word": False}
        for index, token in enumerate(SPECIALS)
    }  # fmt: skip
    _json(directory / "tokenizer_config.json", {
        **names, "additional_special_tokens": [FAKE, IMAGE, DONE], "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Idefics3Processor", "model_max_length": 8192, "added_tokens_decoder": added,
    })  # fmt: skip
    (directory / "chat_template.jinja").write_text(TEMPLATE)


def _configs(directory: pathlib.Path, config: transformers.Idefics3Config) -> None:
    """What transformers 5 leaves out or moves, in the places where other loaders look for it."""
    side = {"longest_edge": SIDE}
    _json(directory / "preprocessor_config.json", {
        "image_processor_type": "Idefics3ImageProcessor", "processor_class": "Idefics3Processor", "do_convert_rgb": True,
        "do_resize": True, "size": side, "max_image_size": side, "resample": 1, "do_image_splitting": False,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3,
        "do_pad": True,
    })  # fmt: skip
    _json(directory / "processor_config.json", {"processor_class": "Idefics3Processor", "image_seq_len": IMAGE_TOKENS})
    _json(directory / "generation_config.json", {
        "bos_token_id": SPECIALS.index(START), "eos_token_id": [SPECIALS.index(DONE), 0], "pad_token_id": 0,
    })  # fmt: skip
    saved = json.loads((directory / "config.json").read_text())
    saved["text_config"] |= {"rope_theta": 100_000.0, "tie_word_embeddings": False}
    saved["vision_config"]["num_channels"] = 3
    _json(directory / "config.json", saved)


def _json(path: pathlib.Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n")


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    make(target)
    for number in range(2):
        picture(target, number)
