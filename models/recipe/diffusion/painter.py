"""The published model as its users run it: prompts in, pictures out."""

from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

BATCH = 32


class Painter:
    """StableDiffusionPipeline in f32 from the f16 files."""

    def __init__(self, folder: Path, steps: int, guidance: float):
        self.pipeline = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.float32)
        self.pipeline.set_progress_bar_config(disable=True)
        self.steps, self.guidance = steps, guidance

    def paint(self, prompts: list[str], seeds: list[int]) -> np.ndarray:
        """uint8 pictures (n, 128, 128, 3), each from its own seed."""
        painted = []
        for k in range(0, len(prompts), BATCH):
            dice = [torch.Generator().manual_seed(s) for s in seeds[k:k + BATCH]]
            out = self.pipeline(prompts[k:k + BATCH], num_inference_steps=self.steps, guidance_scale=self.guidance, generator=dice, output_type="np")
            painted.append((out.images * 255).round().astype(np.uint8))
        return np.concatenate(painted)
