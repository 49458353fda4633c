"""Writes the published folder: `python -m recipe.diffusion.publish --unet DIR/weights.pt --vae FILE --to shapes-diffusion`.

The layout is the one that diffusers' StableDiffusionPipeline loads; weights go to f16, the text encoder's under the
names that Stable Diffusion's have. The tokenizer is shapes-clip's. The model card is written by hand and left alone.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from . import model as architecture

TOKENIZER = ("vocab.json", "merges.txt", "tokenizer.json", "special_tokens_map.json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--unet", help="weights.pt of a stage of the UNet; without it, fresh weights: the layout alone")
    parser.add_argument("--vae", help="settled weights")
    parser.add_argument("--clip", type=Path, default=Path("shapes-clip"))
    parser.add_argument("--to", type=Path, default=Path("shapes-diffusion"))
    args = parser.parse_args()
    unet, text, vae = architecture.fresh_unet(0), architecture.fresh_text(args.clip), architecture.fresh_vae(0)
    if args.unet:
        weights = torch.load(args.unet)
        unet.load_state_dict(weights["unet"])
        text.load_state_dict(weights["text"])
    if args.vae:
        vae.load_state_dict(torch.load(args.vae)["vae"])
    publish(unet, text, vae, args.clip, args.to)


def publish(unet, text, vae, clip: Path, folder: Path) -> None:
    """Writes the three networks (f32 in memory, f16 on disk), their configs, the scheduler's and the tokenizer into `folder`."""
    _json(folder / "model_index.json", {
        "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None], "image_encoder": [None, None], "requires_safety_checker": False, "safety_checker": [None, None],
        "scheduler": ["diffusers", "DDIMScheduler"], "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"], "unet": ["diffusers", "UNet2DConditionModel"], "vae": ["diffusers", "AutoencoderKL"],
    })
    _json(folder / "scheduler" / "scheduler_config.json", {"_class_name": "DDIMScheduler", **architecture.scheduler_config()})
    _json(folder / "unet" / "config.json", {"_class_name": "UNet2DConditionModel", **architecture.unet_config()})
    _json(folder / "vae" / "config.json", {"_class_name": "AutoencoderKL", **architecture.vae_config()})
    _json(folder / "text_encoder" / "config.json", _text_config(clip))
    prefixed = {k if k.startswith("text_model.") else f"text_model.{k}": v for k, v in text.state_dict().items()}
    _weights(folder / "text_encoder" / "model.safetensors", prefixed)
    _weights(folder / "unet" / "diffusion_pytorch_model.safetensors", unet.state_dict())
    _weights(folder / "vae" / "diffusion_pytorch_model.safetensors", vae.state_dict())
    (folder / "tokenizer").mkdir(exist_ok=True)
    for name in TOKENIZER:
        shutil.copyfile(clip / name, folder / "tokenizer" / name)
    settings = json.loads((clip / "tokenizer_config.json").read_text())
    _json(folder / "tokenizer" / "tokenizer_config.json", settings | {"model_max_length": architecture.TOKENS})


def _text_config(clip: Path) -> dict:
    """shapes-clip's own settings of its text tower, with this one's number of positions."""
    tower = json.loads((clip / "config.json").read_text())["text_config"]
    return {"architectures": ["CLIPTextModel"], "model_type": "clip_text_model", **tower, "max_position_embeddings": architecture.TOKENS}


def _weights(path: Path, state: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: tensor.half().contiguous() for name, tensor in state.items() if "position_ids" not in name}
    save_file(halves, path, metadata={"format": "pt"})
    path.chmod(0o644)


def _json(path: Path, value: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
