"""Captions: a scene put into words in many phrasings, each with the claim that it makes.

Every phrasing takes (scene, rng, style) and gives a `Caption` that is true of the scene, or None
where it does not apply (a relation needs two objects). `complete` phrasings name every object of
the scene; `partial` ones say less, down to a bare "red".
"""

from dataclasses import replace
from random import Random

from .complete import COMPLETE
from .partial import PARTIAL
from .scene import Scene
from .wording import Caption, random_style

PHRASINGS = {name: make for group in (COMPLETE, PARTIAL) for name, (make, _) in group.items()}


def caption(scene: Scene, rng: Random, phrasing: str | None = None) -> Caption:
    """A caption true of the scene, of the named phrasing (a key of `PHRASINGS`) or of a random one.

    Raises ValueError when the named phrasing does not apply to the scene.
    """
    if phrasing:
        made = PHRASINGS[phrasing](scene, rng, random_style(rng))
        if made is None:
            raise ValueError(f"{phrasing} does not apply to a scene of {len(scene.objects)}")
        return _dressed(made, rng)
    partial = rng.random() < 0.3
    return _dressed(_any_of(PARTIAL if partial else COMPLETE, scene, rng), rng)


def complete_caption(scene: Scene, rng: Random) -> Caption:
    """A caption that names every object of the scene, a lone one with its size or its place."""
    return _dressed(_any_of(COMPLETE, scene, rng), rng)


def _any_of(group, scene, rng) -> Caption:
    makers, weights = zip(*group.values())
    while True:
        made = rng.choices(makers, weights)[0](scene, rng, random_style(rng))
        if made:
            return made


def _dressed(made: Caption, rng) -> Caption:
    """Now and then a full stop or other letter case; the meaning stays."""
    text, luck = made.text, rng.random()
    if luck < 0.08:
        text = text[0].upper() + text[1:] + "."
    elif luck < 0.12:
        text += "."
    return replace(made, text=text)
