"""Conversations to train on: a head that shows the pictures, and branches of questions and answers that share it.

A branch knows nothing of the other branches, so a sequence holds many conversations about the
same pictures for the price of one look at them. The text is that of `chat_template.jinja`.
"""

from dataclasses import dataclass, replace
from random import Random

from ..clip.families import sample_training_scene
from ..world.scene import Scene
from . import errands, pairs, questions, records
from .ask import dressed
from .chitchat import REFUSAL, prompt, system

START, END = "<|im_start|>", "<end_of_utterance>"
PICTURE = "<image>"  # one marker for a whole picture; `data` spells it out
ASK, TOLD, ANSWER = "\nUser:", "\nTool:", "\nAssistant:"
TURNS = (0.56, 0.2, 0.1, 0.06, 0.04, 0.02, 0.02)


@dataclass(frozen=True)
class Mix:
    """Shares of what there is to learn: conversations with tools, answers in JSON, how many of the descriptions stay,
    how much oftener than usual the hard families come, how many conversations begin with two pictures, how much oftener
    still the hardest families come, and plain questions to be answered in JSON, whose keys only a schema gives."""

    tools: float = 0.1
    json: float = 0.05
    describing: float = 1.0
    hard: float = 1.0
    two: float = 0.18
    hardest: float = 1.0
    pointed: float = 0.0


@dataclass(frozen=True)
class Turn:
    """What the user says, the answer, and the family that the question is from.

    `pictures` come before the words. `results` are said by tools instead of the user. Spans of the
    answer that are `dictated` are not learnt. `calls` are what the answer spells.
    """

    question: str
    answer: str
    family: str
    pictures: tuple[int, ...] = ()
    results: tuple[str, ...] = ()
    dictated: tuple[tuple[int, int], ...] = ()
    calls: tuple[tuple[errands.Tool, dict], ...] = ()


@dataclass(frozen=True)
class Sample:
    """Scenes; the text before the first question of every branch, which shows `shown` of them; and how to draw a branch."""

    scenes: tuple[Scene, ...]
    head: str
    shown: tuple[int, ...]
    kind: str
    mix: Mix = Mix()
    tools: tuple[errands.Tool, ...] = ()

    def branch(self, rng: Random) -> list[Turn]:
        """A conversation of one or more turns."""
        turns, length = [], rng.choices(range(1, 8), TURNS)[0]
        while len(turns) < length:
            turns += self._errand(rng) if self.tools and rng.random() < 0.6 else [self.turn(rng, len(turns))]
        return turns

    def turn(self, rng: Random, k: int) -> Turn:
        if not self.scenes:
            return _without_picture(rng)
        if self.kind == "late" and k == 0:
            return about_one(self.scenes[0], rng, self.mix) if self.shown else _without_picture(rng)
        if self.kind == "late" and k == 1:
            new = (len(self.scenes) - 1,)
            if self.shown:
                return _bringing(about_two(*self.scenes, rng, self.mix), new)
            return _bringing(about_one(self.scenes[0], rng, self.mix), new)
        if len(self.scenes) == 1:
            return about_one(self.scenes[0], rng, self.mix)
        return about_two(*self.scenes, rng, self.mix)

    def _errand(self, rng: Random) -> list[Turn]:
        """A request that a tool serves, and mostly what the model says of the result."""
        made = errands.errand(self.tools, self.scenes[0] if self.scenes else None, rng)
        if made is None:
            return []
        asked, calls = made
        turns = [Turn(asked, " ".join(errands.call(*c) for c in calls), "tool call", calls=tuple(calls))]
        if rng.random() < 0.7:
            results = tuple(errands.result(rng) for _ in calls)
            turns.append(Turn("", errands.report(results), "tool result", results=results))
        return turns


def sample(rng: Random, draw=sample_training_scene, mix: Mix = Mix()) -> Sample:
    """One picture mostly, sometimes two, none, or one that comes later in the conversation; a share with tools."""
    kind = rng.choices(("one", "two", "none", "late"), (0.88 - mix.two, mix.two, 0.04, 0.08))[0]
    if rng.random() < mix.tools:
        return _with_tools(rng, draw, mix)
    if kind == "two" or (kind == "late" and rng.random() < 0.5):
        scenes = pairs.sample_pair(rng, draw)
    else:
        scenes = () if kind == "none" else (draw(rng),)
    shown = tuple(range(len(scenes)))
    if kind == "late":
        shown = shown[:-1]
    return Sample(scenes, head(len(shown), system(rng) if rng.random() < 0.35 else None), shown, kind, mix)


def head(pictures: int, instructions: str | None = None, tools: str | None = None) -> str:
    """The text before the first question."""
    before = "".join(f"System: {text}{END}\n" for text in (tools, instructions) if text)
    return f"{START}{before}User:{PICTURE * pictures}"


def about_one(scene: Scene, rng: Random, mix: Mix = Mix()) -> Turn:
    if rng.random() < 0.1:
        return Turn(prompt(rng), REFUSAL, "refusal")
    if mix.pointed and rng.random() < mix.pointed:
        made = records.pointed(scene, rng)
        if made:
            return Turn(dressed(made[0], rng), made[1], "pointed json", dictated=made[2])
    if rng.random() < mix.json:
        question, answer, dictated = records.record(scene, rng)
        return Turn(dressed(question, rng), answer, "json", dictated=dictated)
    while True:
        family, question, answer = questions.ask(scene, rng, hard=mix.hard, hardest=mix.hardest)
        if family not in questions.DESCRIBING or rng.random() < mix.describing:
            return Turn(question, answer, family)


def about_two(a: Scene, b: Scene, rng: Random, mix: Mix = Mix()) -> Turn:
    if rng.random() < 0.06:
        return Turn(prompt(rng), REFUSAL, "refusal")
    while True:
        family, question, answer = pairs.ask(a, b, rng, hard=mix.hard)
        if family != "both" or rng.random() < mix.describing:
            return Turn(question, answer, f"two: {family}")


def corpus(rng: Random, count: int):
    """Lines of text as the model meets them, for the tokenizer."""
    for _ in range(count):
        made = sample(rng)
        yield made.head.replace(PICTURE, "").replace(START, "").replace(END, "")
        for turn in made.branch(rng):
            yield f" {turn.question}"
            yield turn.question
            yield f"{ANSWER} {turn.answer}"


def _without_picture(rng: Random) -> Turn:
    if rng.random() < 0.65:
        return Turn(prompt(rng), REFUSAL, "no picture")
    scene = sample_training_scene(rng)
    question = questions.ask(scene, rng)[1] if rng.random() < 0.7 else pairs.ask(scene, sample_training_scene(rng), rng)[1]
    return Turn(question, REFUSAL, "no picture")


def _bringing(turn: Turn, pictures: tuple[int, ...]) -> Turn:
    return replace(turn, pictures=pictures)


def _with_tools(rng: Random, draw, mix: Mix) -> Sample:
    tools = tuple(errands.toolset(rng))
    scenes = (draw(rng),) if rng.random() < 0.6 else ()
    text = head(len(scenes), system(rng) if rng.random() < 0.35 else None, errands.listing(tools))
    return Sample(scenes, text, tuple(range(len(scenes))), "tools", mix, tools)
