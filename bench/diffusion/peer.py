"""diffusers at the end of a pipe: peer.py MODEL_DIR DTYPE THREADS.

Speaks as the plugin's example `denoise_speed` does, with one more field: `"tuned": true` is channels-last and inference
mode, beside the fused attention that it has anyway; else everything is as `from_pretrained` gives it.
"""

from __future__ import annotations

import json
import re
import sys
import time
from contextlib import nullcontext

import torch
from diffusers import StableDiffusionPipeline

PROMPT = "a red circle above a blue square, number {}"


class Model:
    def __init__(self, directory: str, dtype: str):
        kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
        self.pipeline = StableDiffusionPipeline.from_pretrained(directory, torch_dtype=kind)
        self.pipeline.set_progress_bar_config(disable=True)
        self.dtype, self.tuned = kind, False

    def tune(self, tuned: bool):
        if tuned != self.tuned:
            layout = torch.channels_last if tuned else torch.contiguous_format
            for network in (self.pipeline.unet, self.pipeline.vae):
                network.to(memory_format=layout)
            self.tuned = tuned
        return torch.inference_mode() if tuned else nullcontext()

    def step(self, side: int, seed: int) -> float:
        generator = torch.Generator().manual_seed(seed)
        latents = torch.randn(1, 4, side // 8, side // 8, generator=generator).to(self.dtype)
        context = torch.randn(2, 77, 768, generator=generator).to(self.dtype)
        scheduler = self.pipeline.scheduler
        scheduler.set_timesteps(20)
        start = time.perf_counter()
        with torch.no_grad():
            both = torch.cat([latents] * 2)
            made = self.pipeline.unet(both, scheduler.timesteps[0], encoder_hidden_states=context, return_dict=False)[0]
            negative, positive = made.chunk(2)
            guided = negative + 7.5 * (positive - negative)
            scheduler.step(guided, scheduler.timesteps[0], latents)
        return time.perf_counter() - start

    def image(self, side: int, steps: int, seed: int) -> float:
        start = time.perf_counter()
        self.pipeline(PROMPT.format(seed), height=side, width=side, num_inference_steps=steps, generator=torch.Generator().manual_seed(seed))
        return time.perf_counter() - start


def peak_bytes() -> int:
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\s+(\d+)", status.read())[1]) * 1024


def main() -> None:
    directory, dtype, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = Model(directory, dtype)
    for line in sys.stdin:
        order = json.loads(line)
        with model.tune(order.get("tuned", False)):
            if order["work"] == "step":
                seconds = model.step(order["side"], order["seed"])
            else:
                seconds = model.image(order["side"], order["steps"], order["seed"])
        print(json.dumps({"seconds": seconds, "peak_bytes": peak_bytes()}), flush=True)


if __name__ == "__main__":
    main()
