"""Families of scenes that differ in one thing: the hard negatives of a contrastive batch.

A ranking test is won or lost on such near misses: one colour changed, two colours or two places
swapped. Every member is on the training side of the split.
"""

from dataclasses import replace
from random import Random

from ..world.scene import Scene, jittered_rgb, overlapping, sample_background, sample_scene, visible
from ..world.split import combination, side
from ..world.vocabulary import COLOUR_NAMES, SHAPES

FAMILY = 4
TRIES = 12


def sample_family(rng: Random) -> list[Scene]:
    """`FAMILY` training scenes: one at random and near misses of it."""
    base = sample_training_scene(rng)
    members, seen = [base], {_looks(base)}
    for _ in range(TRIES):
        if len(members) == FAMILY:
            return members
        other = _near_miss(rng, rng.choice(members))
        if other is None or _looks(other) in seen or overlapping(other.objects) or side(other) != "train":
            continue
        if rng.random() < 0.5 or not visible(other):
            other = replace(other, background=sample_background(rng, other.objects))
        members.append(other)
        seen.add(_looks(other))
    return members + [sample_training_scene(rng) for _ in range(FAMILY - len(members))]


def sample_training_scene(rng: Random) -> Scene:
    while True:
        scene = sample_scene(rng)
        if side(scene) == "train":
            return scene


def _looks(scene: Scene) -> tuple:
    return combination(scene), tuple(sorted((o.pair, o.size, o.column, o.row) for o in scene.objects))


def _near_miss(rng: Random, scene: Scene) -> Scene | None:
    objects = list(scene.objects)
    i = rng.randrange(len(objects))
    if len(objects) == 1 or rng.random() < 0.5:
        objects[i] = rng.choice((_recoloured, _reshaped, _recoloured, _reshaped, _resized, _moved))(rng, objects[i])
    else:
        j = rng.choice([k for k in range(len(objects)) if k != i])
        objects[i], objects[j] = rng.choice((_swap_places, _swap_places, _swap_colours, _swap_shapes))(objects[i], objects[j])
    return Scene(tuple(objects), scene.background)


def _recoloured(rng, obj):
    colour = rng.choice(COLOUR_NAMES)
    return replace(obj, colour=colour, rgb=jittered_rgb(rng, colour))


def _reshaped(rng, obj):
    return replace(obj, shape=rng.choice(SHAPES))


def _resized(rng, obj):
    small = obj.size == "large"
    radius = rng.uniform(0.10, 0.125) if small else rng.uniform(0.165, 0.2)
    keep = [min(1 - radius - 0.01, max(radius + 0.01, c)) for c in (obj.x, obj.y)]
    return replace(obj, size="small" if small else "large", radius=radius, x=keep[0], y=keep[1])


def _moved(rng, obj):
    """To the mirror image of its place across one axis or both, or to the middle."""
    x, y = rng.choice(((1 - obj.x, obj.y), (obj.x, 1 - obj.y), (1 - obj.x, 1 - obj.y), (0.5, obj.y), (obj.x, 0.5)))
    return replace(obj, x=x, y=y)


def _swap_places(a, b):
    a_new, b_new = replace(a, x=b.x, y=b.y), replace(b, x=a.x, y=a.y)
    return _inside(a_new), _inside(b_new)


def _swap_colours(a, b):
    return replace(a, colour=b.colour, rgb=b.rgb), replace(b, colour=a.colour, rgb=a.rgb)


def _swap_shapes(a, b):
    return replace(a, shape=b.shape), replace(b, shape=a.shape)


def _inside(obj):
    x, y = (min(0.99 - obj.radius, max(obj.radius + 0.01, c)) for c in (obj.x, obj.y))
    return replace(obj, x=x, y=y)
