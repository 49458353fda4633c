"""Who may train on a scene: a stable hash of its combination of objects decides.

A combination is the multiset of colour and shape of the scene's objects together with how they lie
to each other. One combination in five is held out, wherever its objects stand and whatever their
size or background. Scenes with a never-shown pair belong to neither side.
"""

from hashlib import blake2b

from .scene import Scene
from .vocabulary import NEVER_SHOWN_PAIRS

HELD_OUT_ONE_IN = 5
SALT = b"83"  # chosen so that the combinations of one object held out cover every colour and shape


def combination(scene: Scene) -> str:
    """The name of the scene's combination, the same however its objects are listed."""
    objects = sorted(scene.objects, key=lambda o: (o.colour, o.shape, o.column, o.row))
    names = [f"{o.colour} {o.shape}" for o in objects]
    relations = [
        f"{_sign(b.column - a.column)}{_sign(b.row - a.row)}"
        for i, a in enumerate(objects) for b in objects[i + 1:]
    ]
    return "|".join(names + relations)


def side(scene: Scene) -> str:
    """`train`, `held-out`, or `never-shown`."""
    if any(o.pair in NEVER_SHOWN_PAIRS for o in scene.objects):
        return "never-shown"
    digest = blake2b(combination(scene).encode(), digest_size=8, salt=SALT).digest()
    return "held-out" if int.from_bytes(digest, "big") % HELD_OUT_ONE_IN == 0 else "train"


def _sign(difference: int) -> str:
    return "=" if difference == 0 else "+" if difference > 0 else "-"
