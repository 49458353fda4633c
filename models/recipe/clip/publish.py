"""Writes the published folder: `python -m recipe.clip.publish --weights DIR/weights.pt --to shapes-clip`.

The layout is the one that transformers' CLIPModel and CLIPProcessor load; weights go to f16. The
model card is written by hand and left alone.
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import PretrainedConfig

from . import model as architecture
from .data import MEAN, STD
from .tokenizer import write


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--to", type=Path, default=Path("shapes-clip"))
    args = parser.parse_args()
    clip = architecture.fresh(0)
    clip.load_state_dict(torch.load(args.weights)["clip"])
    publish(clip, args.to)


def publish(clip, folder: Path) -> None:
    """Writes the model (f32 in memory, f16 on disk), its configs and its tokenizer into `folder`."""
    write(folder)
    halves = {name: tensor.half().contiguous() for name, tensor in clip.state_dict().items() if "position_ids" not in name}
    save_file(halves, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    _json(folder / "config.json", _config(clip))
    side = architecture.IMAGE_SIZE
    _json(folder / "preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True, "size": {"shortest_edge": side}, "resample": 3,
        "do_center_crop": True, "crop_size": {"height": side, "width": side},
        "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": list(MEAN), "image_std": list(STD),
    })


def _config(clip) -> dict:
    """CLIP's own settings written out in full, so that any loader finds what it asks for, without the
    library's general defaults."""
    general = set(PretrainedConfig().to_dict()) - {"dtype"}
    config = clip.config.to_dict()
    parts = {"text_config": _own(config.pop("text_config"), general), "vision_config": _own(config.pop("vision_config"), general)}
    return {"architectures": ["CLIPModel"], "model_type": "clip", **_own(config, general), **parts}


def _own(part: dict, general: set[str]) -> dict:
    own = {k: v for k, v in part.items() if k not in general or k in ("bos_token_id", "eos_token_id", "pad_token_id")}
    own = {k: v for k, v in own.items() if k not in ("output_attentions", "_name_or_path") and v is not None}
    return own | {"dtype": "float16", "torch_dtype": "float16"}


def _json(path: Path, value: dict) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
