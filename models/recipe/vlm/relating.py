"""Questions about how two objects of a picture lie to each other or compare; makers as in `questions`."""

from random import Random

from ..world.scene import Object, Scene
from .answers import things, yes
from .ask import Reference, unique
from .describe import place

RELATIONS = {
    "left": ("to the left of", "left of", "on the left of"), "right": ("to the right of", "right of", "on the right of"),
    "above": ("above", "above", "over"), "below": ("below", "below", "under", "beneath"),
}


REFER = ("shape", "colour", "colour shape", "colour shape", "size colour shape")


def related(scene, rng):
    """"Is the circle above the square?" "Yes."."""
    two = _two(scene, rng)
    if not two:
        return None
    (a, said_a), (b, said_b) = two
    name = rng.choice(tuple(RELATIONS))
    if not holds(a, name, b) and rng.random() < 0.35:
        true = [r for r in RELATIONS if holds(a, r, b)]
        name = rng.choice(true)
    return f"Is the {said_a.text} {rng.choice(RELATIONS[name])} the {said_b.text}?", yes(holds(a, name, b))


def relative(scene, rng):
    """"Where is the circle relative to the square?" "It is above and to the left of the square."."""
    two = _two(scene, rng)
    if not two:
        return None
    (a, said_a), (b, said_b) = two
    down = "above" if a.row < b.row else "below" if a.row > b.row else ""
    across = "to the left of" if a.column < b.column else "to the right of" if a.column > b.column else ""
    asked = rng.choice(("Where is the {} relative to the {}?", "Where is the {} relative to the {}?", "Where is the {} compared to the {}?",
                        "How does the {} lie to the {}?", "What is the position of the {} relative to the {}?",
                        "Where is the {} in relation to the {}?"))
    return asked.format(said_a.text, said_b.text), f"It is {' and '.join(w for w in (down, across) if w)} the {b.colour} {b.shape}."


def beyond(scene, rng):
    """"What is above the square?" "A red circle."."""
    found = unique(scene, rng, REFER)
    if not found:
        return None
    obj, said = found
    name = rng.choice(tuple(RELATIONS))
    there = [o for o in scene.objects if holds(o, name, obj)]
    if not there and rng.random() < 0.6:
        return None
    asked = rng.choice(("What is {}?", "What is {}?", "What's {}?", "Which shape is {}?", "What do you see {}?", "What lies {}?"))
    return asked.format(f"{rng.choice(RELATIONS[name])} the {said.text}"), things(there)


def compared(scene, rng):
    """Which of two is larger, higher, further left; whether they are alike."""
    if len(scene.objects) != 2:
        return None
    a, b = scene.objects
    kind = rng.choice(("larger", "smaller", "size", "colour", "shape"))
    if kind in ("larger", "smaller"):
        words = rng.choice({"larger": ("larger", "bigger"), "smaller": ("smaller",)}[kind])
        asked = rng.choice((f"Which shape is {words}?", f"Which one is {words}?", f"Which of the shapes is {words}?", f"Which object is {words}?"))
        if a.size == b.size:
            return asked, "They have the same size."
        big = a if (a.size == "large") == (kind == "larger") else b
        return asked, f"The {big.colour} {big.shape}." if a.pair != b.pair else f"The one {place(big)}."
    same = getattr(a, kind) == getattr(b, kind)
    asked = rng.choice((f"Do the shapes have the same {kind}?", f"Are the two shapes the same {kind}?", f"Do both shapes have the same {kind}?",
                        f"Are the shapes of the same {kind}?"))
    return asked, yes(same)


def holds(a: Object, name: str, b: Object) -> bool:
    """Whether a is left of b, and so on; diagonal neighbours are, say, both left and above."""
    return {"left": a.column < b.column, "right": a.column > b.column, "above": a.row < b.row, "below": a.row > b.row}[name]


def _two(scene: Scene, rng: Random) -> tuple[tuple[Object, Reference], tuple[Object, Reference]] | None:
    """Two objects and words that mean each alone."""
    for _ in range(4):
        a, b = unique(scene, rng, REFER), unique(scene, rng, REFER)
        if a and b and a[0] is not b[0]:
            return a, b
    return None
