"""Parity with transformers on models of real size: the same files, the same ids and pixels.

    bench/run.sh parity              every model
    bench/parity/bench.py ViT-B/32   some of them

No weights are downloaded: they are random, scaled until embeddings of different inputs really differ. The reference is
transformers in float32; "torch bf16" is transformers in bfloat16 against that, for comparison. Besides the cosine the
table has the centred cosine, taken after the reference's mean is subtracted from both sides: what all embeddings of a
model have in common makes even wrong ones look close.
"""

from __future__ import annotations

import argparse
import base64
import gc
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
import transformers as tf

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "plugins" / "candle" / "tests"))

from make_goldens import bert_tokenizer, clip_tokenizer, make_images, siglip_tokenizer  # noqa: E402

COUNT = 12
FLOORS = {"f32": 0.9999, "bf16": 0.999}


# --- models ---------------------------------------------------------------------------------------------------------


@torch.no_grad()
def randomise(model, seed=0):
    """Random weights under which attention is sharp and every layer adds about as much as it passes on."""
    torch.manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "logit" in name:
            continue
        if parameter.dim() == 1:
            scale = "norm" in name.lower() and name.endswith("weight")
            parameter.normal_(1.0 if scale else 0.0, 0.05)
        elif "embedding" in name and parameter.dim() == 2 or "probe" in name:
            parameter.normal_(0.0, 1.0)
        else:
            gain = 1.5 if any(part in name for part in ("q_proj", "k_proj", "query", "key")) else 1.0
            parameter.normal_(0.0, gain / parameter[0].numel() ** 0.5)
    return model.eval()


def clip(directory, text, vision, projection):
    tokenizer = clip_tokenizer(77)
    text |= {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = tf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=projection)
    save(randomise(tf.CLIPModel(config)), tokenizer, directory)


def vit_b_32(directory):
    clip(directory, {}, {}, 512)


def vit_l_14(directory):
    text = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12}
    vision = {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "patch_size": 14
    }
    clip(directory, text, vision, 768)


def siglip_base(directory):
    save(randomise(tf.SiglipModel(tf.SiglipConfig(text_config={}, vision_config={}))), siglip_tokenizer(64), directory)


def bert_base(directory, mode):
    save(randomise(tf.BertModel(tf.BertConfig(), add_pooling_layer=False)), bert_tokenizer(512), directory)
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "1_Pooling").mkdir()
    (directory / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))


def save(model, tokenizer, directory):
    """In bf16, so that all sides read the very same numbers and the files are small."""
    model.to(torch.bfloat16).save_pretrained(directory)
    tokenizer.save_pretrained(directory)


MODELS = {
    "ViT-B/32": vit_b_32,
    "ViT-L/14": vit_l_14,
    "SigLIP-base": siglip_base,
    "BERT-base mean": lambda directory: bert_base(directory, "mean_tokens"),
    "BERT-base CLS": lambda directory: bert_base(directory, "cls_token"),
}


# --- inputs and the two sides ---------------------------------------------------------------------------------------


def make_ids(vocabulary, longest, seed=1):
    """Token ids of many lengths, the longest included; the first few ids are left to special tokens."""
    rng = np.random.default_rng(seed)
    lengths = [longest, *rng.integers(1, longest, COUNT - 1)]
    return [rng.integers(10, vocabulary, length).tolist() for length in lengths]


@torch.inference_mode()
def reference(directory, name, ids, images, dtype):
    """Embeddings by transformers, one input at a time for texts so that no padding is involved but SigLIP's own."""
    config = tf.AutoConfig.from_pretrained(directory)
    model = getattr(tf, config.architectures[0]).from_pretrained(directory, dtype=dtype).eval()
    tokenizer = tf.AutoTokenizer.from_pretrained(directory)
    special, texts = tokenizer("")["input_ids"], []
    for row in ids:
        row = special[:-1] + row + special[-1:]
        if config.model_type == "siglip":
            row += [tokenizer.pad_token_id] * (config.text_config.max_position_embeddings - len(row))
        row = torch.tensor([row])
        if config.model_type == "bert":
            hidden = model(row).last_hidden_state.float()
            texts.append(hidden.mean(1) if "mean" in name else hidden[:, 0])
        else:
            texts.append(model.get_text_features(row).pooler_output.float())
    out = {"text": torch.cat(texts)}
    if images is not None:
        mean, std = (tf.image_utils.OPENAI_CLIP_MEAN, tf.image_utils.OPENAI_CLIP_STD)
        if config.model_type == "siglip":
            mean = std = [0.5] * 3
        pixels = ((images.astype(np.float32) / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2).copy()
        batches = torch.from_numpy(pixels).to(dtype).split(4)
        out["image"] = torch.cat([model.get_image_features(batch).pooler_output.float() for batch in batches])
    del model
    gc.collect()
    return {kind: torch.nn.functional.normalize(rows, dim=-1).numpy() for kind, rows in out.items()}


def ours(directory, ids, images, dtype):
    encoded = [] if images is None else [base64.b64encode(image.tobytes()).decode() for image in images]
    command = ["cargo", "run", "--quiet", "--release", "--locked", "-p", "sensorium-candle", "--example", "embed", "--"]
    result = subprocess.run(
        [*command, str(directory), "--dtype", dtype], input=json.dumps({"ids": ids, "images": encoded}), cwd=ROOT,
        check=True, stdout=subprocess.PIPE, text=True,
    )
    made = json.loads(result.stdout)
    out = {"text": np.array(made["ids"], np.float32)}
    if images is not None:
        out["image"] = np.array(made["images"], np.float32)
    return out


# --- comparison -----------------------------------------------------------------------------------------------------


def cosines(a, b):
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


def row(name, who, dtype, kind, made, expected):
    mean = expected.mean(0)
    plain, centred = cosines(made, expected), cosines(made - mean, expected - mean)
    print(
        f"| {name} | {who} {dtype} | {kind} | {plain.min():.6f} | {plain.mean():.6f} | {centred.min():.6f} "
        f"| {centred.mean():.6f} |", flush=True,
    )
    return who != "sensorium" or plain.min() >= FLOORS[dtype]


def compare(name, make):
    """Prints the rows of one model; true if ours are within the floors."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        make(directory)
        config = tf.AutoConfig.from_pretrained(directory)
        text = getattr(config, "text_config", config)
        special = 1 if config.model_type == "siglip" else 2
        ids = make_ids(text.vocab_size, min(text.max_position_embeddings, 128) - special)
        images = None if text is config else make_images(COUNT, config.vision_config.image_size, 2)
        expected = reference(directory, name, ids, images, torch.float32)
        for kind, vectors in expected.items():
            others = vectors @ vectors.T - 2 * np.eye(len(vectors))
            print(f"<!-- {name} {kind}: cosine between different inputs at most {others.max():.3f} -->")
        sides = [("sensorium", dtype, ours(directory, ids, images, dtype)) for dtype in FLOORS]
        sides.append(("torch", "bf16", reference(directory, name, ids, images, torch.bfloat16)))
        return all([
            row(name, who, dtype, kind, made[kind], expected[kind]) for who, dtype, made in sides for kind in expected
        ])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help=f"of {', '.join(MODELS)}; all by default")
    names = parser.parse_args().models or list(MODELS)
    tf.logging.set_verbosity_error()
    tf.utils.logging.disable_progress_bar()
    print("| model | by | of | cosine min | mean | centred min | mean |\n|---|---|---|---|---|---|---|")
    fine = [compare(name, MODELS[name]) for name in names]
    if not all(fine):
        sys.exit(f"below the floor of {FLOORS}")


if __name__ == "__main__":
    main()
