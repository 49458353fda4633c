"""Phrasings that name every object of the scene. Each gives a caption with its claim, or None where it does not apply."""

from dataclasses import replace

from .claims import Claim
from .nouns import noun
from .wording import (
    COLUMN_WORDS, COUNT_WORDS, Caption, RELATION_WORDS, ROW_WORDS, listed, opening, place_of, relations_of, said, shuffled,
)


def placed(scene, rng, style):
    """A lone object with its size, its place or both: "a large red circle in the top left"."""
    if len(scene.objects) != 1:
        return None
    obj = scene.objects[0]
    sized = rng.random() < 0.6
    named = style.noun(obj, rng, sized=sized)
    if sized and rng.random() < 0.5:
        return said(opening(rng) + named.text, [named])
    place, want = place_of(obj, rng, named.want)
    if rng.random() < 0.15:
        text = f"{place} there is {named.text}" if rng.random() < 0.5 else f"{place}, {named.text}"
    else:
        text = f"{opening(rng)}{named.text} {place}"
    return Caption(text, Claim((want,)))


def related(scene, rng, style):
    """Two objects and how they lie: "a blue square below a red circle"."""
    if len(scene.objects) != 2:
        return None
    first, second = shuffled(scene, rng)
    a, b = style.noun(first, rng), style.noun(second, rng)
    name = rng.choice(relations_of(first, second))
    words = rng.choice(RELATION_WORDS[name])
    verb = "is " if style.article and rng.random() < 0.15 else ""
    begin = "" if verb else opening(rng)
    return said(f"{begin}{a.text} {verb}{words} {b.text}", [a, b], ((0, name, 1),))


def sided(scene, rng, style):
    """Objects by the columns or rows they stand in: "on the left a star, on the right a ring"."""
    objects = shuffled(scene, rng) if rng.random() < 0.3 else sorted(scene.objects, key=lambda o: (o.column, o.row))
    if len(objects) < 2:
        return None
    by_column = len({o.column for o in objects}) == len(objects)
    words = COLUMN_WORDS if by_column else ROW_WORDS
    lines = [o.column if by_column else o.row for o in objects]
    if len(set(lines)) < len(lines) or any(words[line] is None for line in lines):
        return None
    nouns = [style.noun(o, rng) for o in objects]
    wants = [replace(n.want, **{"column" if by_column else "row": line}) for n, line in zip(nouns, lines)]
    places = [rng.choice(words[line]) for line in lines]
    ahead = rng.random() < 0.5
    parts = [f"{p} {n.text}" if ahead else f"{n.text} {p}" for p, n in zip(places, nouns)]
    begin = "" if ahead else opening(rng)
    return Caption(begin + listed(parts, rng), Claim(tuple(wants)))


def in_order(scene, rng, style):
    """A row or column read along: "from left to right: a star, a ring and a cross"."""
    if len(scene.objects) < 2:
        return None
    axis, name, words = rng.choice((("column", "left", "from left to right"), ("row", "above", "from top to bottom")))
    objects = sorted(scene.objects, key=lambda o: getattr(o, axis))
    if len({getattr(o, axis) for o in objects}) < len(objects):
        return None
    nouns = [style.noun(o, rng) for o in objects]
    text = words + rng.choice((": ", ", ", " ")) + listed([n.text for n in nouns], rng)
    return said(text, nouns, tuple((i, name, i + 1) for i in range(len(nouns) - 1)))


def chained(scene, rng, style):
    """Three objects and two relations: "a star above a ring, with a cross to the left of the ring"."""
    if len(scene.objects) != 3:
        return None
    objects = shuffled(scene, rng)
    a, b, c = nouns = [style.noun(o, rng) for o in objects]
    first, second = (rng.choice(relations_of(objects[0], objects[1])), rng.choice(relations_of(objects[0], objects[2])))
    w1, w2 = rng.choice(RELATION_WORDS[first]), rng.choice(RELATION_WORDS[second])
    if rng.random() < 0.5:
        text = f"{a.text} {w1} {b.text} and {w2} {c.text}"
        return said(opening(rng) + text, nouns, ((0, first, 1), (0, second, 2)))
    third = rng.choice(relations_of(objects[2], objects[1]))
    again = noun(objects[1], rng, "the", parts="shape" if objects[1].shape != objects[2].shape else "colour shape")
    if objects[0].shape == objects[1].shape:
        again = noun(objects[1], rng, "the")
    text = f"{a.text} {w1} {b.text}, with {c.text} {rng.choice(RELATION_WORDS[third])} {again.text}"
    return said(opening(rng) + text, nouns, ((0, first, 1), (2, third, 1)))


def listing(scene, rng, style):
    """All objects, no relation: "three shapes: a star, a ring and a cross"."""
    nouns = [style.noun(o, rng) for o in shuffled(scene, rng)]
    text = listed([n.text for n in nouns], rng)
    n = len(nouns)
    if rng.random() < 0.15:
        shapes = "shape" if n == 1 else "shapes"
        return said(f"{COUNT_WORDS[n - 1]} {shapes}: {text}", nouns, count=n)
    if rng.random() < 0.06:
        return said(f"only {text}", nouns, count=n)
    return said(opening(rng) + text, nouns)


# name -> (phrasing, how often)
COMPLETE = {"placed": (placed, 3), "related": (related, 4), "sided": (sided, 2), "in_order": (in_order, 1),
            "chained": (chained, 4), "listing": (listing, 1)}
