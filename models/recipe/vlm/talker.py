"""The published model behind its own processor: conversations in, greedy answers out."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, Idefics3ForConditionalGeneration

BATCH = 50


@dataclass
class Chat:
    """OpenAI-like messages, and the uint8 pictures that their image parts show in order."""

    messages: list[dict] = field(default_factory=list)
    pictures: list[np.ndarray] = field(default_factory=list)
    tools: list[dict] = field(default_factory=list)

    def user(self, text: str, pictures: list[np.ndarray] = ()) -> "Chat":
        """The chat with one more message, its text before its pictures, as most tutorials have it."""
        parts = [{"type": "text", "text": text}, *({"type": "image"} for _ in pictures)]
        return self.say("user", parts if pictures else text, pictures)

    def say(self, role: str, content, pictures=()) -> "Chat":
        return Chat([*self.messages, {"role": role, "content": content}], [*self.pictures, *pictures], self.tools)


class Talker:
    """Idefics3ForConditionalGeneration in f32 from the f16 file."""

    def __init__(self, folder: Path):
        self.model = Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = AutoProcessor.from_pretrained(folder)

    def answers(self, chats: list[Chat], longest: int = 160) -> list[str]:
        """The greedy answer to each chat, without white space around it."""
        order = sorted(range(len(chats)), key=lambda i: (len(chats[i].pictures), sum(len(str(m["content"])) for m in chats[i].messages)))
        said = [""] * len(chats)
        groups: dict[int, list[int]] = {}
        for i in order:
            groups.setdefault(len(chats[i].pictures), []).append(i)
        for group in groups.values():
            for k in range(0, len(group), BATCH):
                part = group[k:k + BATCH]
                for i, text in zip(part, self._batch([chats[i] for i in part], longest)):
                    said[i] = text
        return said

    @torch.no_grad()
    def _batch(self, chats, longest) -> list[str]:
        texts = [self.processor.apply_chat_template(c.messages, tools=c.tools or None, add_generation_prompt=True, tokenize=False) for c in chats]
        images = [[Image.fromarray(p) for p in c.pictures] for c in chats] if chats[0].pictures else None
        inputs = self.processor(text=texts, images=images, return_tensors="pt", padding=True)
        out = self.model.generate(**inputs, max_new_tokens=longest, do_sample=False)
        fresh = out[:, inputs["input_ids"].shape[1]:]
        return [t.strip() for t in self.processor.batch_decode(fresh, skip_special_tokens=True)]
