"""Measures the published files: `python -m recipe.vlm.evaluate --model shapes-vlm`.

Everything goes the way of a real request: a picture as PNG or JPEG gives it back, the chat
template, Idefics3Processor, greedy generation in f32 from the f16 file. An answer is right when
it is the settled one, word for word; a caption's set is right when the multiset of (colour, shape)
that it names is the scene's.
"""

import argparse
import json
from pathlib import Path
from random import Random

from ..clip.degrade import through_jpeg
from ..clip.ranking import sample_side
from ..world.render import render
from . import errands, pairs, questions, records
from .chitchat import REFUSAL, SYSTEM
from .describe import caption, parse
from .phrases import CAPTION
from .talker import Chat, Talker
from .unheard import ABOUT_THE_PICTURE, WITHOUT_MATTER

# How a picture may arrive: name -> scene to uint8 picture.
ARRIVALS = {
    "64x64": lambda scene: render(scene, 64),
    "256x256": lambda scene: render(scene, 256),
    "256x256 jpeg": lambda scene: through_jpeg(render(scene, 256), 85),
    "640x480 jpeg": lambda scene: through_jpeg(render(scene, 640, 480), 85),
}
TUTORIAL = ("What's in this image?", "What is in this picture?", "Describe the image.", "Describe this image in detail.", "What do you see?")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("shapes-vlm"))
    parser.add_argument("--scenes", type=int, default=1000, help="captions for each figure")
    parser.add_argument("--each", type=int, default=200, help="questions of each family; half as many with two pictures")
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--wrong", type=int, default=0, help="print up to so many wrong answers of each family")
    args = parser.parse_args()
    exam = Exam(Talker(args.model), args.seed, args.wrong)
    figures = {}
    for of in ("held-out", "never-shown"):
        figures[of] = {"captions": captions(exam, of, args.scenes), "questions": single(exam, of, args.each)}
    figures["held-out"] |= {
        "two pictures": two(exam, "held-out", args.each // 2), "turns": turns(exam, "held-out", args.each),
        "system prompt": instructed(exam, "held-out", args.each),
    }
    figures["refusals"] = refusals(exam)
    figures["tools"] = tools(exam, args.each)
    figures["json"] = records_in_json(exam, "held-out", args.each)
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


class Exam:
    """Asks, judges and shows what went wrong."""

    def __init__(self, talker: Talker, seed: int, wrong: int):
        self.talker, self.seed, self.wrong = talker, seed, wrong

    def share(self, name: str, chats: list[Chat], wanted: list[str], right=lambda said, want: said == want) -> float:
        """The share of right answers, 0..1."""
        said = self.talker.answers(chats)
        marks = [right(s, w) for s, w in zip(said, wanted)]
        bad = [i for i, m in enumerate(marks) if not m]
        for i in bad[:self.wrong]:
            print(f"{name}: {chats[i].messages[-1]['content']!r} -> {said[i]!r}, not {wanted[i]!r}", flush=True)
        return round(sum(marks) / len(marks), 4)

    def rng(self, name: str) -> Random:
        return Random(f"{self.seed}/{name}")


def captions(exam: Exam, of: str, count: int) -> dict:
    """Exact sets by how the picture arrives and by the number of objects; whole sentences; tutorial prompts."""
    rng = exam.rng(f"captions {of}")
    scenes = [sample_side(rng, of) for _ in range(count)]
    prompts = [rng.choice(CAPTION) for _ in scenes]

    def same_set(said, want):
        return parse(said) == parse(want)

    report = {"exact set": {}}
    for arrival, draw in ARRIVALS.items():
        chats = [Chat().user(p, [draw(s)]) for p, s in zip(prompts, scenes)]
        report["exact set"][arrival] = exam.share(f"caption {arrival}", chats, [caption(s) for s in scenes], same_set)
    chats = [Chat().user(p, [render(s, 256)]) for p, s in zip(prompts, scenes)]
    report["exact sentence, 256x256"] = exam.share("sentence", chats, [caption(s) for s in scenes])
    report["exact set, 256x256, by objects"] = {}
    for n in (1, 2, 3):
        chosen = [i for i, s in enumerate(scenes) if len(s.objects) == n]
        if chosen:
            report["exact set, 256x256, by objects"][n] = exam.share(f"{n}", [chats[i] for i in chosen], [caption(scenes[i]) for i in chosen], same_set)
    report["exact set, 256x256, by prompt"] = {}
    for prompt in TUTORIAL:
        some = scenes[:max(1, count // 5)]
        asked = [Chat().user(prompt, [render(s, 256)]) for s in some]
        report["exact set, 256x256, by prompt"][prompt] = exam.share(prompt, asked, [caption(s) for s in some], same_set)
    return report


def single(exam: Exam, of: str, each: int) -> dict:
    """Exact answers by family, pictures of 256x256; `overall` counts every family alike, the descriptions apart."""
    report = {}
    for family in questions.FAMILIES:
        chats, wanted = _asked(exam.rng(f"{family} {of}"), of, each, family)
        report[family] = exam.share(family, chats, wanted)
    return {"overall": _mean(v for k, v in report.items() if k not in questions.DESCRIBING), **report}


def two(exam: Exam, of: str, each: int) -> dict:
    """Exact answers about two pictures, by family."""
    report = {}
    for family in pairs.FAMILIES:
        rng, chats, wanted = exam.rng(f"two {family} {of}"), [], []
        while len(chats) < each:
            a, b = pairs.sample_pair(rng, lambda r: sample_side(r, of))
            made = pairs.ask(a, b, rng, family)
            if made:
                chats.append(Chat().user(made[1], [render(a, 256), render(b, 256)]))
                wanted.append(made[2])
        report[family] = exam.share(f"two: {family}", chats, wanted)
    return {"overall": _mean(report.values()), **report}


def turns(exam: Exam, of: str, count: int, deep: int = 5) -> dict:
    """Exact answers by turn of a conversation about one picture, its own answers standing in the history."""
    rng = exam.rng(f"turns {of}")
    scenes = [sample_side(rng, of) for _ in range(count)]
    chats, report = [Chat() for _ in scenes], {}
    for turn in range(1, deep + 1):
        asked = [questions.ask(s, rng) for s in scenes]
        chats = [c.user(a[1], [render(s, 256)] if turn == 1 else []) for c, a, s in zip(chats, asked, scenes)]
        said = exam.talker.answers(chats)
        report[f"turn {turn}"] = round(sum(s == a[2] for s, a in zip(said, asked)) / count, 4)
        chats = [c.say("assistant", s) for c, s in zip(chats, said)]
    return report


def instructed(exam: Exam, of: str, count: int) -> float:
    """Exact answers under a system prompt."""
    rng = exam.rng("system")
    chats, wanted = _asked(rng, of, count)
    chats = [Chat([{"role": "system", "content": rng.choice(SYSTEM)}, *c.messages], c.pictures) for c in chats]
    return exam.share("system", chats, wanted)


def refusals(exam: Exam) -> dict:
    """The share of strange prompts that get the refusal, with a picture and without; and of plain questions without one."""
    rng = exam.rng("refusals")
    shown = [Chat().user(p, [render(sample_side(rng, "held-out"), 256)]) for p in WITHOUT_MATTER + ABOUT_THE_PICTURE]
    bare = [Chat().user(p) for p in WITHOUT_MATTER + ABOUT_THE_PICTURE]
    blind = [Chat(c.messages[:-1]).user(c.messages[-1]["content"][0]["text"]) for c in _asked(rng, "held-out", 200)[0]]
    return {
        f"{len(WITHOUT_MATTER)} other topics, with a picture": exam.share("topic", shown[:len(WITHOUT_MATTER)], [REFUSAL] * len(WITHOUT_MATTER)),
        f"{len(ABOUT_THE_PICTURE)} other questions about a picture": exam.share("strange", shown[len(WITHOUT_MATTER):], [REFUSAL] * len(ABOUT_THE_PICTURE)),
        "the same without a picture": exam.share("bare", bare, [REFUSAL] * len(bare)),
        "questions about shapes without a picture": exam.share("blind", blind, [REFUSAL] * len(blind)),
    }


# Places, tickers and words that training has no list of.
STRANGE = {"weather": "What's the weather in {}?", "time": "What time is it in {}?", "search": "Search for {}."}
NAMES = ("Lisbon", "Nairobi", "Vienna", "Kyoto", "Lima", "Oslo", "Hanoi", "Zagreb", "Bogota", "Manila", "Quito", "Dublin", "Perth", "Accra", "Riga", "Tunis")


def tools(exam: Exam, count: int) -> dict:
    """Exact calls (tool, arguments, how many) by kind of tool among one to four that are listed; of places never
    heard; and results repeated word for word."""
    rng, report = exam.rng("tools"), {}
    for kind in errands.ERRANDS:
        chats, wanted = [], []
        while len(chats) < count // 4:
            listed, scene = errands.toolset(rng), sample_side(rng, "held-out")
            served = [t for t in listed if t.kind == kind]
            made = served and errands.errand(served, scene, rng)
            if made:
                chats.append(Chat(tools=[t.schema() for t in listed]).user(made[0], [render(scene, 256)] if kind == "report" else []))
                wanted.append(" ".join(errands.call(*c) for c in made[1]))
        report[f"call: {kind}"] = exam.share(f"tool {kind}", chats, wanted)
    chats, wanted = [], []
    for name in NAMES:
        for kind, asked in STRANGE.items():
            tool = next(t for _ in iter(int, 1) for t in errands.toolset(rng) if t.kind == kind and len(t.parameters) == 1)
            chats.append(Chat(tools=[tool.schema()]).user(asked.format(name)))
            wanted.append(errands.call(tool, {tool.parameters[0][0]: name}))
    report["call: names never heard"] = exam.share("tool names", chats, wanted)
    results = [errands.result(rng) for _ in range(count)]
    tool = errands.Tool("get_weather", "Get the weather", (("city", "string"),), "weather")
    asked = Chat(tools=[tool.schema()]).user("What's the weather in Rome?")
    asked.messages.append({"role": "assistant", "content": "", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": tool.name, "arguments": '{"city": "Rome"}'}}]})
    report["result repeated"] = exam.share("result", [asked.say("tool", r) for r in results], [errands.report((r,)) for r in results])
    return report


def records_in_json(exam: Exam, of: str, count: int) -> dict:
    """Exact JSON in the settled form, and under keys that the question names."""
    rng, report = exam.rng("json"), {}
    for name in ("settled", "keys named"):
        chats, wanted = [], []
        while len(chats) < count:
            scene = sample_side(rng, of)
            question, answer, dictated = records.record(scene, rng)
            if not dictated and (question in records.PLAIN) == (name == "settled"):
                chats.append(Chat().user(question, [render(scene, 256)]))
                wanted.append(answer)
        report[name] = exam.share(f"json {name}", chats, wanted)
    return report


def _asked(rng, of, count, family=None):
    """Chats of one question about one picture of 256x256, and the answers."""
    chats, wanted = [], []
    while len(chats) < count:
        scene = sample_side(rng, of)
        made = questions.ask(scene, rng, family)
        if made:
            chats.append(Chat().user(made[1], [render(scene, 256)]))
            wanted.append(made[2])
    return chats, wanted


def _mean(shares) -> float:
    shares = list(shares)
    return round(sum(shares) / len(shares), 4)


if __name__ == "__main__":
    main()
