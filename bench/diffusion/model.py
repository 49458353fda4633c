"""A Stable Diffusion 1.5 of real size with random weights, as diffusers saves it.

    python model.py DIR     about 2.1 GB, in f16
"""

from __future__ import annotations

import json
import pathlib
import shutil
import sys

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENIZER = ROOT / "plugins/candle/tests/golden/clip-legacy"


def make(directory: pathlib.Path) -> None:
    torch.manual_seed(0)
    cross, plain = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
    unet = UNet2DConditionModel(
        sample_size=64, cross_attention_dim=768, attention_head_dim=8, block_out_channels=(320, 640, 1280, 1280),
        down_block_types=(cross, cross, cross, "DownBlock2D"), up_block_types=("UpBlock2D", plain, plain, plain),
    ).half()  # fmt: skip
    levels = 4
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
        down_block_types=("DownEncoderBlock2D",) * levels, up_block_types=("UpDecoderBlock2D",) * levels,
    ).half()  # fmt: skip
    text = CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        max_position_embeddings=77,
    )  # fmt: skip
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, clip_sample=False, set_alpha_to_one=False
    )
    pipeline = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text).half(), tokenizer=CLIPTokenizer.from_pretrained(TOKENIZER, model_max_length=77),
        unet=unet, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    shutil.rmtree(directory, ignore_errors=True)
    pipeline.save_pretrained(directory)
    # Half precision is how the weights are stored; each side computes in what it is told.
    (directory / "made.json").write_text(json.dumps({"torch": torch.__version__}))


if __name__ == "__main__":
    make(pathlib.Path(sys.argv[1]))
