"""What of an answer stands word for word in what was said before: tool names, arguments, results.

As with `gaze`, training may ask a pair of attention heads to look at the token that comes next.
"""

import json

import torch

from .dialogue import TOLD, Turn
from .errands import Tool

HEAD, ASKED = "head", "asked"


def copied(turn: Turn, head: str, asked: str) -> list[tuple[int, int, str, int]]:
    """(begin and end in the answer, which text it stands in, where it begins there)."""
    found = []
    if turn.results:
        begin, source = turn.answer.index(": ") + 2, 0
        for result in turn.results:
            source = asked.index(f"{TOLD} {result}", source) + len(TOLD) + 1
            begin = turn.answer.index(result, begin)
            found.append((begin, begin + len(result), ASKED, source))
            begin += len(result)
    place = 0
    for tool, arguments in turn.calls:
        line = head.index(tool.line())
        place = turn.answer.index('"name": "', place) + 9
        found.append((place, place + len(tool.name), HEAD, line))
        for key, value in arguments.items():
            place = turn.answer.index(f'"{key}": ', place) + 1
            found.append((place, place + len(key), HEAD, line + _parameter(tool, key)))
            said = value if isinstance(value, str) else json.dumps(value)
            place = turn.answer.index(said, place + len(key))
            source = asked.lower().rfind(said.lower())
            if source >= 0:
                found.append((place, place + len(said), ASKED, source))
    return found


def pointers(found, answer_offsets, sources: dict[str, list[tuple[int, int]]]) -> list[tuple[int, str, int]]:
    """(token of the answer, which text, token there) of every token of the answer that begins in what is copied;
    answer offsets count from the answer's first letter."""
    marks = []
    for begin, end, where, source in found:
        for i, (a, b) in enumerate(answer_offsets):
            start = max(a, begin)
            if start < min(b, end) and a >= begin - 1:  # a space or a quote may stand before the first letter
                letter = source + start - begin
                token = next((k for k, (c, d) in enumerate(sources[where]) if c <= letter < d), None)
                if token is not None:
                    marks.append((i, where, token))
    return marks


def loss(weights: torch.Tensor, batch: dict) -> torch.Tensor:
    """How much of the heads' attention (b, heads, length, length) goes elsewhere: the mean of -log of the rest."""
    row, spot, aim = batch["copy"].unbind(1)
    return -weights[row, :, spot, aim].float().clamp(min=1e-4, max=1).log().mean() if len(row) else weights.sum() * 0


def _parameter(tool: Tool, key: str) -> int:
    """Where the parameter's name begins in the tool's line."""
    return next(i for i in range(len(tool.line())) if tool.line().startswith(f"{key}: ", i) and tool.line()[i - 1] in "( ")
