"""The words that phrasings share: openings, places, relations, lists, and what a caption is."""

from dataclasses import dataclass, replace
from random import Random

from .claims import Claim, RELATIONS, Want, relation_holds
from .nouns import Noun, noun
from .scene import Object, Scene

OPENINGS = (
    "", "", "", "a photo of ", "a picture of ", "an image of ", "there is ", "a drawing of ", "photo of ", "this is ",
)
RELATION_WORDS = {
    "left": ("to the left of", "left of", "on the left of"),
    "right": ("to the right of", "right of", "on the right of"),
    "above": ("above", "above", "over"),
    "below": ("below", "below", "under", "beneath"),
    "beside": ("next to", "beside"),
}
COLUMN_WORDS = (
    ("on the left", "at the left", "on the left side"),
    ("in the middle", "in the center"),
    ("on the right", "at the right", "on the right side"),
)
ROW_WORDS = (("at the top",), None, ("at the bottom",))
COUNT_WORDS = ("one", "two", "three")


@dataclass(frozen=True)
class Caption:
    """A text and what it says."""

    text: str
    claim: Claim


@dataclass(frozen=True)
class Style:
    """What stays the same through one caption: its article, and how often it names sizes."""

    article: str
    sized: float

    def noun(self, obj: Object, rng: Random, **options) -> Noun:
        options.setdefault("sized", rng.random() < self.sized)
        return noun(obj, rng, self.article, **options)


def said(text: str, nouns: list[Noun], relations=(), count: int | None = None, tone: str | None = None) -> Caption:
    """A caption that claims what its nouns ask for."""
    return Caption(text, Claim(tuple(n.want for n in nouns), relations, count, tone))


def random_style(rng: Random) -> Style:
    """Mostly "a red circle", now and then "red circle" or "the red circle"."""
    return Style(rng.choices(("a", "", "the"), (0.75, 0.17, 0.08))[0], rng.choice((0.0, 0.0, 0.5)))


def opening(rng: Random) -> str:
    """A way to begin, often none."""
    return rng.choice(OPENINGS)


def shuffled(scene: Scene, rng: Random) -> list[Object]:
    """The objects in random order."""
    return rng.sample(scene.objects, len(scene.objects))


def relations_of(first: Object, second: Object) -> list[str]:
    """Names of relations that hold; a plain direction is likelier than "beside"."""
    plain = [r for r in RELATIONS if relation_holds(first, r, second)]
    return [r for r in plain if r != "beside"] * 4 + [r for r in plain if r == "beside"]


def listed(parts: list[str], rng: Random) -> str:
    """Puts parts in a row: "a", "a and b", "a, b and c"."""
    if len(parts) == 1:
        return parts[0]
    last = rng.choice((" and ", " and ", ", ", ", and "))
    return ", ".join(parts[:-1]) + last + parts[-1]


def place_of(obj: Object, rng: Random, want: Want) -> tuple[str, Want]:
    """Words for the whole place of an object ("in the top left"), or one side of it."""
    column, row = obj.column, obj.row
    if rng.random() < 0.3:
        if column != 1 and rng.random() < 0.5:
            return rng.choice(COLUMN_WORDS[column]), replace(want, column=column)
        if row != 1:
            return rng.choice(ROW_WORDS[row]), replace(want, row=row)
    across, down = ("left", "center", "right")[column], ("top", "middle", "bottom")[row]
    whole = replace(want, column=column, row=row)
    if column == row == 1:
        return rng.choice(("in the center", "in the middle", "in the centre")), whole
    if row == 1:
        return f"in the middle {across}" if rng.random() < 0.5 else f"at the center {across}", whole
    if column == 1:
        return f"at the {down} center" if rng.random() < 0.5 else f"in the {down} middle", whole
    corner = " corner" if rng.random() < 0.3 else ""
    return f"in the {down} {across}{corner}", whole
