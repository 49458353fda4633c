"""Phrasings that say less than the whole scene, down to a bare "red". Each gives a caption with its claim, or None."""

from .claims import Claim, Want
from .nouns import noun, with_article
from .vocabulary import COLOUR_SYNONYMS
from .wording import COUNT_WORDS, Caption, RELATION_WORDS, opening, place_of, relations_of, said, shuffled


def naming(scene, rng, style):
    """One object by some of its names: "a red circle", "a photo of a circle", "red shape"."""
    obj = rng.choice(scene.objects)
    parts = rng.choices(("colour shape", "colour", "shape"), (0.4, 0.3, 0.3))[0]
    named = style.noun(obj, rng, parts=parts, sized=rng.random() < 0.12)
    return said(opening(rng) + named.text, [named])


def bare_colour(scene, rng, style):
    """A colour without a noun: "red", "a picture of something red", "a photo of a red one"."""
    name = rng.choice(scene.objects).colour
    if name in COLOUR_SYNONYMS and rng.random() < 0.06:
        word = rng.choice(COLOUR_SYNONYMS[name])
    else:
        word = name
    want = Want(colour=name)
    text = rng.choice((
        word, f"something {word}", f"{with_article(word, 'a')} one", f"the color {word}", f"the colour {word}",
        f"a photo of {word}", f"a photo of something {word}", f"a picture of something {word}",
        f"a photo of {with_article(word, 'a')}", f"a photo of {with_article(word, 'a')} thing", f"it is {word}",
    ))
    return Caption(text, Claim((want,)))


def bare_shape(scene, rng, style):
    """A shape alone: "circle", "circles", "the shape of a circle"."""
    name = rng.choice(scene.objects).shape
    one = with_article(name, "a")
    text = rng.choice((name, one, f"the shape of {one}", f"a photo of {one}", f"a picture of {name}", f"it is {one}", f"{name} shape"))
    return Caption(text, Claim((Want(shape=name),)))


def stated(scene, rng, style):
    """A sentence about one object: "the circle is red"."""
    obj = rng.choice(scene.objects)
    kind = noun(obj, rng, "the", parts=rng.choice(("shape", "shape", "colour")))
    what = obj.colour if kind.want.shape else with_article(obj.shape, "a")
    return Caption(f"{kind.text} is {what}", Claim((Want(obj.colour, obj.shape),)))


def counted(scene, rng, style):
    """How many there are: "two shapes", "a picture of three objects", "two red circles"."""
    n = len(scene.objects)
    first = scene.objects[0]
    if n > 1 and first.pair == scene.objects[1].pair and rng.random() < 0.8:
        wants = (Want(first.colour, first.shape),) * 2
        return Caption(f"{opening(rng)}two {first.colour} {first.shape}{'es' if first.shape == 'cross' else 's'}", Claim(wants))
    word = rng.choice((COUNT_WORDS[n - 1], "a single" if n == 1 else COUNT_WORDS[n - 1]))
    what = rng.choice(("shape", "object")) + ("" if n == 1 else "s")
    return Caption(f"{rng.choice(('', '', 'a picture of ', 'a photo of '))}{word} {what}", Claim((), count=n))


def located(scene, rng, style):
    """One object of a scene and where it is."""
    obj = rng.choice(scene.objects)
    named = style.noun(obj, rng, parts=rng.choice(("colour shape", "colour shape", "shape", "colour")))
    place, want = place_of(obj, rng, named.want)
    return Caption(f"{opening(rng)}{named.text} {place}", Claim((want,)))


def half_related(scene, rng, style):
    """Two of the objects and how they lie, by some of their names: "a circle above something blue"."""
    if len(scene.objects) < 2:
        return None
    first, second = shuffled(scene, rng)[:2]
    parts = ("colour shape", "colour shape", "shape", "colour")
    a, b = style.noun(first, rng, parts=rng.choice(parts)), style.noun(second, rng, parts=rng.choice(parts))
    name = rng.choice(relations_of(first, second))
    return said(f"{opening(rng)}{a.text} {rng.choice(RELATION_WORDS[name])} {b.text}", [a, b], ((0, name, 1),))


def grounded(scene, rng, style):
    """One object and its background: "a red circle on a dark background"."""
    tone = scene.background.tone
    if tone == "mid":
        return None
    named = style.noun(rng.choice(scene.objects), rng)
    return said(f"{opening(rng)}{named.text} on a {tone} background", [named], tone=tone)


# name -> (phrasing, how often)
PARTIAL = {"naming": (naming, 5), "bare_colour": (bare_colour, 2), "bare_shape": (bare_shape, 2), "stated": (stated, 1),
           "counted": (counted, 1), "located": (located, 2), "half_related": (half_related, 3), "grounded": (grounded, 1)}
