"""Questions about one picture, by family; each maker gives (question, answer) or None where it does not apply.

Every question has one right answer in one settled wording, which follows from the scene alone.
"""

from random import Random

from ..world.nouns import with_article
from ..world.scene import Scene
from ..world.vocabulary import COLOUR_NAMES, SHAPES, SIZES
from .answers import attribute, there_are, things, yes
from .ask import Reference, THINGS, dressed, random_want, reference, unique, want_of
from .describe import NUMBERS, TONES, caption, detailed, in_order, joined, listing, place, plural, sentence
from .phrases import CAPTION, DETAIL, LIST
from .relating import beyond, compared, related, relative

def captions(scene, rng):
    return rng.choice(CAPTION), caption(scene)


def details(scene, rng):
    return rng.choice(DETAIL), detailed(scene)


def lists(scene, rng):
    return rng.choice(LIST), listing(scene)


def colour(scene, rng):
    """"What colour is the circle?" "It is red." - or which, where several or none are meant."""
    asked = rng.choice(("What colour is the {}?", "What colour is the {}?", "Which colour is the {}?", "What is the colour of the {}?",
                        "What's the colour of the {}?", "Tell me the colour of the {}.", "What colour does the {} have?"))
    if len(scene.objects) == 1 and rng.random() < 0.3:
        return rng.choice(("What colour is it?", "What colour is the shape?", "What colour is this?", "Which colour is it?",
                           "What is the colour?", "What colour is the object in the picture?")), f"It is {scene.objects[0].colour}."
    said = _referred(scene, rng, ("shape", "shape", "size shape", "place", "size", "shape place"), ("shape", "size shape"))
    return said and (asked.format(said.text), attribute(scene, said, "colour"))


def shape(scene, rng):
    """"What shape is red?" "It is a circle."."""
    asked = rng.choice(("What shape is the {}?", "Which shape is the {}?", "What shape does the {} have?", "What is the shape of the {}?",
                        "What is the {}?", "What kind of shape is the {}?"))
    if len(scene.objects) == 1 and rng.random() < 0.3:
        return rng.choice(("What shape is it?", "What shape is this?", "Which shape is it?", "What shape do you see?",
                           "What shape is in the picture?", "What is the shape in the picture?", "Which shape is shown?")), \
            f"It is {with_article(scene.objects[0].shape, 'a')}."
    said = _referred(scene, rng, ("colour", "colour", "size colour", "place", "size", "colour place"), ("colour", "size colour"))
    if said is None:
        return None
    if said.want.colour and said.want.column is None and not said.want.size and rng.random() < 0.25:
        return rng.choice(("What shape is {}?", "Which shape is {}?")).format(said.want.colour), attribute(scene, said, "shape")
    return asked.format(said.text), attribute(scene, said, "shape")


def size(scene, rng):
    """"How big is the circle?" "It is large."."""
    asked = rng.choice(("How big is the {}?", "How large is the {}?", "What size is the {}?", "Is the {} large or small?",
                        "Is the {} small or large?", "Is the {} big or small?", "What is the size of the {}?", "Which size is the {}?"))
    said = _referred(scene, rng, ("shape", "colour", "colour shape", "place"), ("shape", "colour shape"))
    return said and (asked.format(said.text), attribute(scene, said, "size"))


def where(scene, rng):
    """"Where is the red circle?" "It is in the top left."."""
    asked = rng.choice(("Where is the {}?", "Where is the {}?", "Where's the {}?", "In which part of the picture is the {}?",
                        "What is the position of the {}?", "Where in the picture is the {}?", "Where can I find the {}?",
                        "Where is the {} located?", "In which corner or part is the {}?"))
    said = _referred(scene, rng, ("shape", "colour", "colour shape", "colour shape", "size", "size colour shape"), ("shape", "colour", "colour shape"))
    return said and (asked.format(said.text), attribute(scene, said, "place"))


def at_place(scene, rng):
    """"What is in the top left?" "A red circle." - or nothing."""
    obj = rng.choice(scene.objects)
    column, row = (obj.column, obj.row) if rng.random() < 0.75 else (rng.randrange(3), rng.randrange(3))
    said = reference(want_of(_Spot(column, row), rng, "place"), rng)
    words = said.text.split(" ", 1)[1]
    asked = rng.choice(("What is {}?", "What is {}?", "What's {}?", "Which shape is {}?", "What do you see {}?", "What can you see {}?"))
    there = [o for o in scene.objects if (o.column, o.row) == (column, row)]
    return asked.format(words), things(there)


def count(scene, rng):
    """"How many shapes are there?" "There are two."."""
    ask = rng.choice(("How many {} are there?", "How many {} are there?", "How many {} are in the picture?", "How many {} do you see?",
                      "How many {} can you see?", "Count the {}.", "What is the number of {}?", "How many {} does the picture show?",
                      "Please count the {} in the picture.", "How many {} are shown?"))
    if rng.random() < 0.4:
        return ask.format(plural(rng.choice(THINGS))), there_are(len(scene.objects))
    want = random_want(rng, scene, rng.choice(("shape", "colour", "size", "colour shape", "size shape", "size colour")))
    said = reference(want, rng)
    words = said.text.split()
    return ask.format(" ".join([*words[:-1], plural(words[-1])])), there_are(len(said.among(scene)))


def exists(scene, rng):
    """"Is there a red circle?" "Yes."."""
    parts = rng.choice(("colour shape", "colour shape", "colour", "shape", "size shape", "size colour shape", "shape place", "colour shape place", "colour place"))
    if rng.random() < 0.5:
        want = want_of(rng.choice(scene.objects), rng, parts)
    else:
        want = random_want(rng, scene, parts)
    said = reference(want, rng)
    asked = rng.choice(("Is there {}?", "Is there {}?", "Is there {} in the picture?", "Do you see {}?", "Can you see {}?",
                        "Does the picture show {}?", "Does the picture contain {}?", "Does the image have {}?", "Is {} in the picture?"))
    if "place" in parts:
        asked = rng.choice(("Is there {}?", "Do you see {}?", "Can you see {}?"))
    return asked.format(with_article(said.text, "a")), yes(bool(said.among(scene)))


def some(scene, rng):
    """"Are there two circles?" "No.", "Are there any stars?", "Is there more than one shape?"."""
    want = random_want(rng, scene, rng.choice(("shape", "colour", "size", "colour shape", "", "")))
    said = reference(want, rng)
    *front, last = said.text.split()
    one, many, n = said.text, " ".join([*front, plural(last)]), len(said.among(scene))
    luck = rng.random()
    if luck < 0.4 and (want.colour or want.shape or want.size):
        asked = rng.choice(("Are there any {}?", "Are there any {} in the picture?", "Do you see any {}?", "Can you see any {}?", "Does the picture show any {}?"))
        return asked.format(many), yes(n > 0)
    k = n if n and rng.random() < 0.4 else rng.randint(1, 3)
    if luck < 0.75:
        if k == 1:
            return rng.choice((f"Is there only one {one}?", f"Is there exactly one {one}?", f"Is there just one {one}?")), yes(n == 1)
        return rng.choice((f"Are there {NUMBERS[k]} {many}?", f"Are there exactly {NUMBERS[k]} {many}?", f"Do you see {NUMBERS[k]} {many}?")), yes(n == k)
    k = rng.randint(1, 2)
    words = f"more than {NUMBERS[k]} {one if k == 1 else many}"
    return rng.choice((f"{'Is' if k == 1 else 'Are'} there {words}?", f"Do you see {words}?")), yes(n > k)


def is_so(scene, rng):
    """"Is the circle red?" "No."."""
    if len(scene.objects) == 1 and rng.random() < 0.3:
        obj = scene.objects[0]
        colour, shape = (obj.colour if rng.random() < 0.5 else rng.choice(COLOUR_NAMES)), (obj.shape if rng.random() < 0.5 else rng.choice(SHAPES))
        if rng.random() < 0.5:
            return rng.choice(("Is it {}?", "Is the shape {}?", "Is this shape {}?")).format(colour), yes(colour == obj.colour)
        return rng.choice(("Is it {}?", "Is this {}?", "Is the shape {}?")).format(with_article(shape, "a")), yes(shape == obj.shape)
    attribute = rng.choice(("colour", "colour", "shape", "size", "place"))
    parts = {"colour": ("shape", "size shape", "place"), "shape": ("colour", "place"), "size": ("shape", "colour", "colour shape"),
             "place": ("shape", "colour", "colour shape")}[attribute]
    found = unique(scene, rng, parts)
    if not found:
        return None
    obj, said = found
    if attribute == "place":
        other = place(rng.choice(scene.objects)) if rng.random() < 0.3 else place(_Spot(rng.randrange(3), rng.randrange(3)))
        told = place(obj) if rng.random() < 0.5 else other
        return f"Is the {said.text} {told}?", yes(told == place(obj))
    told = getattr(obj, attribute)
    if rng.random() < 0.5:
        pool = {"colour": COLOUR_NAMES, "shape": SHAPES, "size": SIZES}[attribute]
        told = rng.choice([getattr(o, attribute) for o in scene.objects]) if rng.random() < 0.4 else rng.choice(pool)
    words = with_article(told, "a") if attribute == "shape" else told
    return f"Is the {said.text} {words}?", yes(told == getattr(obj, attribute))


def background(scene, rng):
    """"Is the background light or dark?" "It is light."."""
    asked = rng.choice(("What is the background like?", "Is the background light or dark?", "Is the background dark or light?",
                        "How bright is the background?", "What colour is the background?", "Describe the background.",
                        "What does the background look like?"))
    return asked, f"It is {TONES[scene.background.tone]}."


def colours(scene, rng):
    """"What colours are in the picture?" "Red and blue."."""
    found = list(dict.fromkeys(o.colour for o in in_order(scene.objects)))
    if rng.random() < 0.25:
        return rng.choice(("How many colours are there?", "How many different colours do you see?", "How many different colours are there?",
                           "How many colours do the shapes have?")), there_are(len(found))
    return rng.choice(("What colours are in the picture?", "What colours do you see?", "Which colours are there?", "What colours are the shapes?",
                       "What are the colours of the shapes?", "Which colours can you see?", "Name the colours.", "List the colours in the picture.",
                       "What are the main colours?", "What is the dominant colour in the picture?")), sentence(joined(found))


DESCRIBING = ("caption", "detail", "list")
HARD = ("related", "relative", "beyond", "compared", "background", "colours", "count")  # learnt last
HARDEST = ("is so", "relative", "compared", "colours")
# family -> (maker, how often)
FAMILIES = {
    "caption": (captions, 5), "detail": (details, 2), "list": (lists, 2.5),
    "colour": (colour, 3), "shape": (shape, 3), "size": (size, 1.5), "where": (where, 3), "at place": (at_place, 2),
    "count": (count, 3), "exists": (exists, 4), "is so": (is_so, 3), "some": (some, 2),
    "related": (related, 3), "relative": (relative, 2), "beyond": (beyond, 3),
    "background": (background, 0.7), "colours": (colours, 1.5), "compared": (compared, 1.2),
}


def ask(scene: Scene, rng: Random, family: str | None = None, hard: float = 1.0, hardest: float = 1.0) -> tuple[str, str, str] | None:
    """(family, question, answer) about the scene; of the named family, None where that does not apply; else the hard ones
    `hard` times as often, the hardest so many times again."""
    if family:
        made = FAMILIES[family][0](scene, rng)
        return made and (family, dressed(made[0], rng), made[1])
    names, weights = tuple(FAMILIES), [
        w * (hard if name in HARD else 1) * (hardest if name in HARDEST else 1) for name, (_, w) in FAMILIES.items()]
    while True:
        made = ask(scene, rng, rng.choices(names, weights)[0])
        if made:
            return made


class _Spot:
    """A place without an object."""

    colour = shape = size = None

    def __init__(self, column, row):
        self.column, self.row = column, row


def _referred(scene, rng, parts: tuple[str, ...], loose: tuple[str, ...]) -> Reference | None:
    """Mostly words that mean one object; one time in seven words that may mean several or none."""
    if rng.random() < 0.14:
        return reference(random_want(rng, scene, rng.choice(loose)), rng)
    found = unique(scene, rng, parts)
    return found and found[1]
