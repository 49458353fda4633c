"""What the model says of a scene: one settled wording, so that there is one right answer, and its way back to data."""

import re
from collections import Counter

from ..world.nouns import with_article
from ..world.scene import Object, Scene
from ..world.vocabulary import COLOUR_NAMES, SHAPES

PLACES = (
    ("in the top left", "at the top", "in the top right"),
    ("on the left", "in the centre", "on the right"),
    ("in the bottom left", "at the bottom", "in the bottom right"),
)
NUMBERS = ("none", "one", "two", "three", "four", "five", "six")
TONES = {"light": "light", "dark": "dark", "mid": "grey"}


def in_order(objects) -> list[Object]:
    """As one reads: row by row from the top, each from the left."""
    return sorted(objects, key=lambda o: (o.row, o.column))


def place(obj: Object) -> str:
    """Where it stands: "in the top left"."""
    return PLACES[obj.row][obj.column]


def pair(obj: Object) -> str:
    """"a red circle"."""
    return with_article(f"{obj.colour} {obj.shape}", "a")


def full(obj: Object) -> str:
    """"a large red circle in the top left"."""
    return f"{with_article(f'{obj.size} {obj.colour} {obj.shape}', 'a')} {place(obj)}"


def plural(shape: str) -> str:
    """"circles", "crosses"."""
    return shape + ("es" if shape.endswith("s") else "s")


def joined(parts) -> str:
    """"a", "a and b", "a, b and c"."""
    parts = list(parts)
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    return text[0].upper() + text[1:] + "."


def caption(scene: Scene) -> str:
    """"A large red circle in the top left and a small blue square in the centre."."""
    return sentence(joined(full(o) for o in in_order(scene.objects)))


def detailed(scene: Scene) -> str:
    """The caption with the number of shapes and the background."""
    n = len(scene.objects)
    shapes = "one shape" if n == 1 else f"{NUMBERS[n]} shapes"
    said = joined(full(o) for o in in_order(scene.objects))
    return f"The picture shows {shapes} on a {TONES[scene.background.tone]} background: {said}."


def listing(scene: Scene) -> str:
    """"A red circle and a blue square."."""
    return sentence(joined(pair(o) for o in in_order(scene.objects)))


NAMED = re.compile(rf"\b({'|'.join(COLOUR_NAMES)}) ({'|'.join(SHAPES)})\b")


def parse(text: str) -> Counter:
    """The multiset of (colour, shape) that a description names."""
    return Counter(NAMED.findall(text.lower()))


def named(scene: Scene) -> Counter:
    """The multiset of (colour, shape) of a scene."""
    return Counter(o.pair for o in scene.objects)
