"""transformers at the end of a pipe: peer.py MODEL_DIR DTYPE THREADS.

Speaks as the plugin's example `chat_speed` does, one image after another. The model is loaded and asked as its page shows
it: processor, `generate`, greedy.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import torch
import transformers
from PIL import Image


class Clock:
    """A streamer that notes when each token came; the prompt comes first."""

    def __init__(self):
        self.times = []

    def put(self, _):
        self.times.append(time.perf_counter())

    def end(self):
        pass


def core_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Model:
    def __init__(self, directory: str, dtype: str):
        self.dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
        self.processor = transformers.AutoProcessor.from_pretrained(directory)
        self.model = transformers.AutoModelForImageTextToText.from_pretrained(directory, dtype=self.dtype).eval()

    def ask(self, path: str, question: str, tokens: int) -> dict:
        image = Image.open(path).convert("RGB")
        content = [{"type": "image"}, {"type": "text", "text": question}]
        clock, start, busy = Clock(), time.perf_counter(), core_seconds()
        prompt = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = self.processor(text=prompt, images=[image], return_tensors="pt", add_special_tokens=False).to(self.dtype)
        first_core = []

        def begun(*_, **__):
            first_core.append(core_seconds() - busy)
            return False

        with torch.inference_mode():
            output = self.model.generate(
                **inputs, do_sample=False, max_new_tokens=tokens, streamer=clock, stopping_criteria=[begun]
            )
        reply = output[0, inputs["input_ids"].shape[1] :]
        times = [when - start for when in clock.times[1:]]
        return {
            "first": times[0],
            "last": times[-1],
            "tokens": len(times),
            "text": self.processor.tokenizer.decode(reply, skip_special_tokens=True),
            "core_first": first_core[0],
        }


def main() -> None:
    directory, dtype, threads = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = Model(directory, dtype)
    for line in sys.stdin:
        command = json.loads(line)
        busy = core_seconds()
        answers = [model.ask(path, command["question"], command["tokens"]) for path in command["images"]]
        first = answers[0]["core_first"]
        print(json.dumps({"answers": answers, "core_first": first, "core_seconds": core_seconds() - busy}), flush=True)


if __name__ == "__main__":
    main()
