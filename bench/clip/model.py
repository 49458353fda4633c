"""A CLIP ViT-B/32 with random weights, its tokenizer, and inputs for it, in the Hugging Face layout."""

from __future__ import annotations

import json
import pathlib

import numpy as np
import torch
import transformers

VOCABULARY = 49_408
SIDE = 224


def make(directory: pathlib.Path, seed: int = 1) -> None:
    """Saves the model. Weights are larger than at the start of training, so that embeddings of different inputs differ."""
    start, end = VOCABULARY - 2, VOCABULARY - 1
    text = {"bos_token_id": start, "eos_token_id": end}
    model = transformers.CLIPModel(transformers.CLIPConfig(text_config=text, vision_config={}, projection_dim=512))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() < 2:
                base = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                noise = torch.randn(parameter.shape, generator=generator) * 0.1
                parameter.copy_(noise + base if "logit" not in name else parameter)
            else:
                scale = 1.0 if "embedding." in name and "patch" not in name else parameter[0].numel() ** -0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
    model.eval().save_pretrained(directory)
    letters = _letters()
    tokens = letters + [letter + "</w>" for letter in letters]
    tokens += [f"unused{index}" for index in range(VOCABULARY - 2 - len(tokens))] + ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    transformers.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=77).save_pretrained(directory)
    transformers.CLIPImageProcessorPil().save_pretrained(directory)


def inputs(directory: pathlib.Path, count: int, content: int, seed: int = 2) -> None:
    """Writes `count` images as raw RGB and `count` texts of `content` tokens, special tokens not counted."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (count, 8, 8, 3)).astype(np.float32).repeat(SIDE // 8, 1).repeat(SIDE // 8, 2)
    images = (coarse + rng.normal(0, 20, coarse.shape)).clip(0, 255).astype(np.uint8)
    (directory / "images.rgb").write_bytes(images.tobytes())
    texts = rng.integers(0, 500, (count, content)).tolist()
    (directory / "tokens.json").write_text(json.dumps(texts))


def _letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())
