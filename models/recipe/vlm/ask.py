"""The shared words of questions: how an object is referred to, and how a question is dressed."""

from dataclasses import dataclass
from random import Random

from ..world.claims import Want
from ..world.scene import Object, Scene
from ..world.vocabulary import COLOUR_NAMES, COLOUR_SYNONYMS, NEVER_SHOWN_PAIRS, SHAPE_SYNONYMS, SHAPES, SIZE_SYNONYMS, SIZES
from .describe import PLACES

THINGS = ("shape", "shape", "object", "thing", "figure")
PICTURES = ("picture", "image", "picture", "image", "photo", "drawing")


@dataclass(frozen=True)
class Reference:
    """Words without their article, and what they ask of an object."""

    text: str
    want: Want

    def fits(self, obj: Object) -> bool:
        w = self.want
        return all(a is None or a == b for a, b in (
            (w.colour, obj.colour), (w.shape, obj.shape), (w.size, obj.size), (w.column, obj.column), (w.row, obj.row),
        ))

    def among(self, scene: Scene) -> list[Object]:
        """The objects of the scene that it may mean."""
        return [o for o in scene.objects if self.fits(o)]


def reference(want: Want, rng: Random) -> Reference:
    """Words for a want: "large red circle", "red shape", "shape in the top left"."""
    words = [
        word(want.size, SIZE_SYNONYMS, rng), word(want.colour, COLOUR_SYNONYMS, rng),
        word(want.shape, SHAPE_SYNONYMS, rng) if want.shape else rng.choice(THINGS),
    ]
    if want.column is not None or want.row is not None:
        words.append(_place(want, rng))
    return Reference(" ".join(w for w in words if w), want)


def want_of(obj: Object, rng: Random, parts: str) -> Want:
    """What `parts`, of "size", "colour", "shape", "place", say of the object."""
    place = "place" in parts
    return Want(
        colour=obj.colour if "colour" in parts else None, shape=obj.shape if "shape" in parts else None,
        size=obj.size if "size" in parts else None,
        column=obj.column if place else None, row=obj.row if place else None,
    )


def unique(scene: Scene, rng: Random, choices: tuple[str, ...], tries: int = 6) -> tuple[Object, Reference] | None:
    """An object and words that mean it alone, by one of the sets of parts in `choices`."""
    for _ in range(tries):
        obj = rng.choice(scene.objects)
        said = reference(want_of(obj, rng, rng.choice(choices)), rng)
        if said.among(scene) == [obj]:
            return obj, said
    return None


def random_want(rng: Random, scene: Scene, parts: str) -> Want:
    """A want that need not be met: names half from the scene's own, mixed among its objects, half from all."""
    def name(of, all_names):
        return rng.choice([getattr(o, of) for o in scene.objects]) if rng.random() < 0.5 else rng.choice(all_names)

    while True:
        want = Want(
            colour=name("colour", COLOUR_NAMES) if "colour" in parts else None,
            shape=name("shape", SHAPES) if "shape" in parts else None,
            size=name("size", SIZES) if "size" in parts else None,
            column=rng.randrange(3) if "place" in parts else None, row=rng.randrange(3) if "place" in parts else None,
        )
        if (want.colour, want.shape) not in NEVER_SHOWN_PAIRS:
            return want


def word(name: str | None, synonyms: dict, rng: Random, share: float = 0.08) -> str:
    """The name, now and then another word for it; "" for None."""
    if name in synonyms and rng.random() < share:
        return rng.choice(synonyms[name])
    return name or ""


def _place(want: Want, rng: Random) -> str:
    text = PLACES[want.row][want.column]
    if rng.random() < 0.2:
        text = text.replace("centre", rng.choice(("center", "middle", "center")))
    if want.row != 1 and want.column != 1 and rng.random() < 0.2:
        text += rng.choice((" corner", " corner", " of the picture", " of the image"))
    return text


def dressed(question: str, rng: Random) -> str:
    """The question as people type it: American spelling, other words for picture, courtesies, carelessness."""
    luck = rng.random
    if luck() < 0.55:
        question = question.replace("olour", "olor").replace("centre", "center")
    if "picture" in question:
        question = question.replace("picture", rng.choice(PICTURES))
    if luck() < 0.06:
        before = rng.choice(BEFORE)
        question = before + (question if before[-2] in ".!" else question[0].lower() + question[1:])
    if luck() < 0.05:
        question += rng.choice(AFTER)
    if luck() < 0.08:
        question = question[0].lower() + question[1:]
    if luck() < 0.08:
        question = question.rstrip("?.!")
    return question


BEFORE = (
    "Hi! ", "Hello, ", "Please answer: ", "Look at the picture. ", "Tell me: ", "Question: ", "OK. ", "Thanks! ", "And ",
    "Now: ", "Great. ", "Please tell me: ", "One more: ", "Here is an image. ", "Look closely. ", "So, ",
)
AFTER = (" Please.", " Thanks!", " Thank you.", " Be brief.", " Answer briefly.", " Answer in one sentence.", " Be precise.")
