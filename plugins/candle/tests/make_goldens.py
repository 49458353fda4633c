"""Makes the golden files of this folder with transformers and sentence-transformers.

Tiny models of every family with random weights, scaled up until the embeddings of different inputs really differ, each
saved in the Hugging Face layout with what the reference makes of a few texts and 8-bit images.

    python make_goldens.py                          all tiny models, into golden/
    python make_goldens.py clip bert-mean           some of them
    python make_goldens.py --model DIR --out FILE   expectations for a model that is already there (shapes-clip)

Needs torch, transformers 5, sentence-transformers 6, tokenizers and numpy. Weights and images are seeded; the tokenizers'
trainers break ties by chance, so that another run makes other files that are as good.
"""

import argparse
import base64
import json
import shutil
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GOLDEN = Path(__file__).parent / "golden"

TEXTS = [
    "a red circle above a blue square",
    "Two SMALL green triangles, side by side!",
    "nothing",
    "",
    "déjà vu – naïve café 42",
    "the quick brown fox jumps over the lazy dog while seven wizards quietly box with jugs of liquor and more and more",
]

CORPUS = TEXTS + [
    "a photo of a cat", "a blue star left of a large yellow ring", "one two three four five six seven eight nine ten",
    "the small black hexagon is below the white cross", "purple orange pink grey brown shapes on a plain background",
]


def randomise(model, seed):
    """Weights large enough for attention to be sharp and inputs to matter."""
    generator = torch.Generator().manual_seed(seed)

    def normal(shape, std):
        return torch.randn(shape, generator=generator) * std

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "logit" in name:
                continue
            if parameter.dim() == 1:
                norm_weight = "norm" in name.lower() and name.endswith("weight")
                parameter.copy_(normal(parameter.shape, 0.1) + (1.0 if norm_weight else 0.0))
            elif "embedding" in name and parameter.dim() == 2 or "probe" in name:
                parameter.copy_(normal(parameter.shape, 1.0))
            else:
                fan_in = parameter[0].numel()
                parameter.copy_(normal(parameter.shape, 1.6 / fan_in**0.5))
    return model.eval()


def save(model, directory, dtype, **kwargs):
    model.to(dtype).save_pretrained(directory, **kwargs)


def make_images(count, side, seed):
    """Smooth random pictures with some noise, uint8 [count, side, side, 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 4, 4, 3)).astype(np.float32)
    repeat = -(-side // 4)
    images = coarse.repeat(repeat, 1).repeat(repeat, 2)[:, :side, :side]
    return (images + rng.normal(0, 20, images.shape)).clip(0, 255).astype(np.uint8)


# --- tokenizers ---------------------------------------------------------------------------------------------------


def clip_vocabulary(size=400):
    tokenizer = Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, end_of_word_suffix="</w>", show_progress=False)
    tokenizer.train_from_iterator([word for text in CORPUS for word in text.split()], trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in trained["merges"]]
    letters = sorted(alphabet)
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges]
    vocabulary = {}
    for token in tokens + ["<|startoftext|>", "<|endoftext|>"]:
        vocabulary.setdefault(token, len(vocabulary))
    return vocabulary, merges


def clip_tokenizer(context):
    vocabulary, merges = clip_vocabulary()
    return tf.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=context)


def siglip_tokenizer(context):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=200, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="</s>", eos_token="</s>", unk_token="<unk>", model_max_length=context,
        model_input_names=["input_ids"],
    )


def siglip2_tokenizer(context):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    trainer = trainers.BpeTrainer(
        vocab_size=200, special_tokens=["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"], show_progress=False
    )
    tokenizer.train_from_iterator([text.lower() for text in CORPUS], trainer)
    trained = json.loads(tokenizer.to_str())["model"]
    wrapped = tf.Siglip2Tokenizer(
        vocab=trained["vocab"], merges=[tuple(merge) for merge in trained["merges"]], model_max_length=context,
        model_input_names=["input_ids"], padding_side="right",
    )
    wrapped.backend_tokenizer.post_processor = processors.TemplateProcessing(single="$A <eos>", special_tokens=[("<eos>", 1)])
    return wrapped


def bert_vocabulary():
    """Letters, their continuations, and every other word; made by hand, since the trainer breaks ties by chance."""
    words = sorted({word.strip("!,").lower() for text in CORPUS for word in text.split()})
    letters = sorted({letter for word in words for letter in word if letter.isascii()}) + ["!", ","]
    pieces = letters + ["##" + letter for letter in letters] + ["##ing", "##er", "##ly", "caf"] + words[::2]
    return ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + list(dict.fromkeys(pieces))


def bert_tokenizer(context):
    vocabulary = {token: index for index, token in enumerate(bert_vocabulary())}
    return tf.BertTokenizer(vocab=vocabulary, model_max_length=context)


def roberta_tokenizer(context):
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=350, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
        cls_token="<s>", sep_token="</s>", mask_token="<mask>", model_max_length=context,
    )


# --- models -------------------------------------------------------------------------------------------------------

TEXT = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4)


def clip_config(tokenizer, context, **kwargs):
    text = dict(
        TEXT, vocab_size=len(tokenizer), max_position_embeddings=context, bos_token_id=tokenizer.bos_token_id,
        eos_token_id=kwargs.pop("eos", tokenizer.eos_token_id), hidden_act=kwargs.get("act", "quick_gelu"),
    )
    vision = dict(
        hidden_size=32, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        image_size=kwargs.pop("side", 32), patch_size=8, hidden_act=kwargs.pop("act", "quick_gelu"),
    )
    return tf.CLIPConfig(text_config=text, vision_config=vision, **kwargs)


def make_clip(directory):
    """As transformers saves it today."""
    tokenizer = clip_tokenizer(16)
    save(randomise(tf.CLIPModel(clip_config(tokenizer, 16, projection_dim=24)), 1), directory, torch.float32)
    tokenizer.save_pretrained(directory)
    size = {"height": 32, "width": 32}
    tf.CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size=size).save_pretrained(directory)


def make_clip_legacy(directory):
    """As the first checkpoints were: vocab.json and merges.txt, eos_token_id 2, sizes as numbers; and OpenCLIP's gelu,
    a side that the patch doesn't divide, f16."""
    tokenizer = clip_tokenizer(16)
    config = clip_config(tokenizer, 16, projection_dim=20, act="gelu", eos=2, side=36)
    save(randomise(tf.CLIPModel(config), 2), directory, torch.float16)
    vocabulary, merges = clip_vocabulary()
    (directory / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False))
    lines = ["#version: 0.2"] + [" ".join(merge) for merge in merges]
    (directory / "merges.txt").write_text("\n".join(lines) + "\n")
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 16}))
    (directory / "preprocessor_config.json").write_text(json.dumps({
        "feature_extractor_type": "CLIPFeatureExtractor", "size": 36, "crop_size": 36, "resample": 3, "do_resize": True,
        "do_center_crop": True, "do_normalize": True, "image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.25, 0.3],
    }))


def make_clip_text(directory):
    tokenizer = clip_tokenizer(16)
    config = clip_config(tokenizer, 16).text_config
    config.projection_dim = 24
    save(randomise(tf.CLIPTextModelWithProjection(config), 3), directory, torch.bfloat16)
    tokenizer.save_pretrained(directory)


def make_clip_vision(directory):
    config = clip_config(clip_tokenizer(16), 16).vision_config
    config.projection_dim = 24
    save(randomise(tf.CLIPVisionModelWithProjection(config), 4), directory, torch.bfloat16)
    size = {"height": 32, "width": 32}
    tf.CLIPImageProcessorPil(size={"shortest_edge": 40}, crop_size=size).save_pretrained(directory)


def make_siglip(directory, tokenizer=None, seed=5):
    tokenizer = tokenizer or siglip_tokenizer(16)
    text = dict(TEXT, vocab_size=len(tokenizer), max_position_embeddings=16, projection_size=32)
    vision = dict(
        hidden_size=32, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2, image_size=30, patch_size=8
    )
    model = randomise(tf.SiglipModel(tf.SiglipConfig(text_config=text, vision_config=vision)), seed)
    with torch.no_grad():
        model.logit_scale.fill_(2.3)
        model.logit_bias.fill_(-4.5)
    save(model, directory, torch.float16)
    tokenizer.save_pretrained(directory)
    tf.SiglipImageProcessorPil(size={"height": 30, "width": 30}, resample=2).save_pretrained(directory)


def make_siglip2(directory):
    make_siglip(directory, siglip2_tokenizer(16), seed=6)


def make_bert_mean(directory):
    """A bare BertModel: vocab.txt, no modules.json, with a pooler that isn't used."""
    tokenizer = bert_tokenizer(24)
    config = tf.BertConfig(**TEXT, vocab_size=len(tokenizer), max_position_embeddings=24)
    save(randomise(tf.BertModel(config), 7), directory, torch.float16)
    (directory / "vocab.txt").write_text("\n".join(bert_vocabulary()) + "\n")
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}))


def sentence_transformer(directory, transformer, tokenizer, dtype, modules, **kwargs):
    """Saves a sentence-transformer whose modules after the first are `modules`."""
    import sentence_transformers as st
    from sentence_transformers.sentence_transformer.modules import Transformer

    inner = directory / "inner"
    transformer.to(dtype).save_pretrained(inner)
    tokenizer.save_pretrained(inner)
    first = Transformer(str(inner), model_kwargs={"dtype": dtype}, **kwargs)
    st.SentenceTransformer(modules=[first] + modules, device="cpu").save_pretrained(str(directory), create_model_card=False)
    shutil.rmtree(inner)


def make_bert_cls(directory):
    """CLS pooling and normalisation as modules, with the prefix of a model with a head, lower-cased, cut early; the
    tokenizer is cased, so that lower-casing matters."""
    from sentence_transformers.base.modules import Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    vocabulary = {token: index for index, token in enumerate(bert_vocabulary())}
    tokenizer = tf.BertTokenizer(vocab=vocabulary, do_lower_case=False, model_max_length=24)
    config = tf.BertConfig(**TEXT, vocab_size=len(tokenizer), max_position_embeddings=24)
    modules = [Pooling(32, pooling_mode="cls"), Normalize()]
    sentence_transformer(directory, randomise(tf.BertModel(config), 8), tokenizer, torch.float16, modules)
    (directory / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12, "do_lower_case": True}))


def make_bert_dense(directory):
    """Several pooling modes, a normalisation in the middle, a Dense module."""
    from sentence_transformers.base.modules import Dense, Normalize
    from sentence_transformers.sentence_transformer.modules import Pooling

    tokenizer = bert_tokenizer(24)
    config = tf.BertConfig(**TEXT, vocab_size=len(tokenizer), max_position_embeddings=24)
    modes = ("max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken")
    dense = randomise(Dense(160, 40), 9)
    modules = [Pooling(32, pooling_mode=modes), Normalize(), dense]
    sentence_transformer(directory, randomise(tf.BertModel(config), 10), tokenizer, torch.float16, modules)


def make_roberta(directory):
    """Positions after the padding's id, shards, bf16."""
    tokenizer = roberta_tokenizer(24)
    config = tf.RobertaConfig(**TEXT, vocab_size=len(tokenizer), max_position_embeddings=26, type_vocab_size=1)
    model = randomise(tf.RobertaModel(config, add_pooling_layer=False), 11)
    save(model, directory, torch.bfloat16, max_shard_size="30KB")
    tokenizer.save_pretrained(directory)


def make_distilbert(directory):
    tokenizer = bert_tokenizer(24)
    config = tf.DistilBertConfig(
        dim=32, hidden_dim=64, n_layers=2, n_heads=4, vocab_size=len(tokenizer), max_position_embeddings=24
    )
    save(randomise(tf.DistilBertModel(config), 12), directory, torch.float16)
    tokenizer.save_pretrained(directory)


MODELS = {
    "clip": make_clip, "clip-legacy": make_clip_legacy, "clip-text": make_clip_text, "clip-vision": make_clip_vision,
    "siglip": make_siglip, "siglip2": make_siglip2, "bert-mean": make_bert_mean, "bert-cls": make_bert_cls,
    "bert-dense": make_bert_dense, "roberta": make_roberta, "distilbert": make_distilbert,
}


# --- the reference ------------------------------------------------------------------------------------------------


def pixel_values(images, directory):
    """What the model's own processor makes of images that have the right size already."""
    raw = json.loads((directory / "preprocessor_config.json").read_text())
    mean, std = np.array(raw["image_mean"], np.float32), np.array(raw["image_std"], np.float32)
    scaled = images.astype(np.float32) * np.float32(raw.get("rescale_factor", 1 / 255))
    return torch.from_numpy(((scaled - mean) / std).transpose(0, 3, 1, 2).copy())


def contrastive(directory, config, texts):
    """Expectations from CLIP and SigLIP."""
    arch = (config.architectures or [""])[0]
    model = getattr(tf, arch).from_pretrained(directory, dtype=torch.float32, attn_implementation="eager").eval()
    result = {}
    if arch != "CLIPVisionModelWithProjection":
        tokenizer = tf.AutoTokenizer.from_pretrained(directory)
        padding = "max_length" if config.model_type == "siglip" else True
        inputs = tokenizer(texts, padding=padding, truncation=True, return_tensors="pt")
        if config.model_type == "siglip":
            inputs.pop("attention_mask", None)
        if arch == "CLIPTextModelWithProjection":
            result["text"] = model(**inputs).text_embeds
        else:
            result["text"] = model.get_text_features(**inputs).pooler_output
        result["ids"] = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    if arch != "CLIPTextModelWithProjection":
        vision = getattr(config, "vision_config", config)
        result["images"] = make_images(6, vision.image_size, 99)
        pixels = pixel_values(result["images"], directory)
        if arch == "CLIPVisionModelWithProjection":
            result["image"] = model(pixel_values=pixels).image_embeds
        else:
            result["image"] = model.get_image_features(pixel_values=pixels).pooler_output
    return result


def sentence(directory, texts):
    """Expectations from sentence-transformers."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(directory), device="cpu", model_kwargs={"dtype": torch.float32})
    tokenizer = model.tokenizer
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return {"text": torch.from_numpy(model.encode(texts)).float(), "ids": ids}


def distinct(vectors):
    """The highest cosine between embeddings of different inputs."""
    unit = torch.nn.functional.normalize(vectors, dim=-1)
    return float((unit @ unit.T - 2 * torch.eye(len(unit))).max())


@torch.inference_mode()
def expectations(directory, texts):
    config = tf.AutoConfig.from_pretrained(directory)
    known = config.model_type.startswith(("clip", "siglip"))
    result = contrastive(directory, config, texts) if known else sentence(directory, texts)
    out = {"made_with": f"transformers {tf.__version__}"}
    for kind in ("text", "image"):
        if kind in result:
            vectors = torch.nn.functional.normalize(result[kind].float(), dim=-1)
            print(f"  {kind}: {tuple(vectors.shape)}, highest cosine between different inputs {distinct(vectors):.3f}")
            out[kind] = [[round(value, 7) for value in row] for row in vectors.tolist()]
    if "ids" in result:
        out["texts"], out["ids"] = texts, result["ids"]
    if "images" in result:
        out["images"] = [base64.b64encode(image.tobytes()).decode() for image in result["images"]]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*MODELS, []], help="tiny models to make; all by default")
    parser.add_argument("--model", type=Path, help="a model that is already there")
    parser.add_argument("--out", type=Path, help="where its expectations go")
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.model:
        weights = zlib.adler32((arguments.model / "model.safetensors").read_bytes())
        out = {"weights": weights} | expectations(arguments.model, TEXTS)
        arguments.out.write_text(json.dumps(out, ensure_ascii=False) + "\n")
        return
    for name in arguments.names or MODELS:
        print(name)
        directory = GOLDEN / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        MODELS[name](directory)
        (directory / "expected.json").write_text(json.dumps(expectations(directory, TEXTS), ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
