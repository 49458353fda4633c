"""PyTorch at the end of a pipe: peer.py MODEL_DIR DTYPE THREADS IMAGES TOKENS ships|tuned.

Speaks as the plugin's example `embed_speed` does. `ships` is CLIPModel.from_pretrained as its page shows it; `tuned` adds
inference mode, channels-last images and, where a C++ compiler is there, torch.compile with frozen weights. Texts are
padded to the model's 77 tokens, as CLIP's own processor is told to; tuned or not, that is how transformers runs them.
"""

from __future__ import annotations

import json
import pathlib
import resource
import shutil
import sys
import time

import numpy as np
import torch
import transformers

CONTEXT = 77


def load(directory: str, dtype: str, variant: str):
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    model = transformers.CLIPModel.from_pretrained(directory, dtype=kind).eval()
    image, text = model.get_image_features, model.get_text_features
    if variant == "tuned":
        model.to(memory_format=torch.channels_last)
        if shutil.which("c++") or shutil.which("g++"):
            from torch._inductor import config

            config.freezing = True
            image, text = torch.compile(image), torch.compile(text)
    return image, text, kind


def pixel_values(path: str, directory: str) -> torch.Tensor:
    """What the model's processor makes of images that have its size already."""
    processor = json.loads((pathlib.Path(directory) / "preprocessor_config.json").read_text())
    side = processor["crop_size"]["height"]
    images = np.fromfile(path, np.uint8).reshape(-1, side, side, 3).astype(np.float32) / 255
    mean, std = (np.array(processor[key], np.float32) for key in ("image_mean", "image_std"))
    return torch.from_numpy(((images - mean) / std).transpose(0, 3, 1, 2).copy())


def token_tensors(path: str, directory: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask, padded to the whole context with the end-of-text token."""
    config = transformers.AutoConfig.from_pretrained(directory).text_config
    texts = [[config.bos_token_id, *ids, config.eos_token_id] for ids in json.loads(pathlib.Path(path).read_text())]
    ids = torch.full((len(texts), CONTEXT), config.eos_token_id)
    mask = torch.zeros_like(ids)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return ids, mask


def pooled(features) -> torch.Tensor:
    return features if isinstance(features, torch.Tensor) else features.pooler_output


def core_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    directory, dtype, threads, images, tokens, variant = sys.argv[1:]
    torch.set_num_threads(int(threads))
    image, text, kind = load(directory, dtype, variant)
    pixels = pixel_values(images, directory).to(kind)
    if variant == "tuned":
        pixels = pixels.contiguous(memory_format=torch.channels_last)
    ids, mask = token_tensors(tokens, directory)
    mode = torch.inference_mode if variant == "tuned" else torch.no_grad
    for line in sys.stdin:
        command = json.loads(line)
        count = command["count"]
        seconds, busy, result = [], core_seconds(), None
        with mode():
            for _ in range(command["repeat"]):
                start = time.perf_counter()
                if command["task"] == "image":
                    result = pooled(image(pixel_values=pixels[:count]))
                else:
                    result = pooled(text(input_ids=ids[:count], attention_mask=mask[:count]))
                seconds.append(time.perf_counter() - start)
        vectors = torch.nn.functional.normalize(result.float(), dim=-1).tolist() if command["vectors"] else []
        print(json.dumps({"seconds": seconds, "core_seconds": core_seconds() - busy, "vectors": vectors}), flush=True)


if __name__ == "__main__":
    main()
