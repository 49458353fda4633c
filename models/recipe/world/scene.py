"""A scene as plain data, and how scenes are drawn at random.

Lengths are fractions of the scene's side; x grows to the right, y downwards. Objects sit in the
cells of a 3x3 grid with some jitter, so that every relation is clear: two objects of one column
differ by at most 0.09 in x, those of two columns by at least 0.2.
"""

from dataclasses import dataclass, replace
from random import Random

from .vocabulary import COLOUR_NAMES, COLOURS, SHAPES, SIZES

CELL_CENTRES = (0.21, 0.5, 0.79)
JITTER = 0.045
RADII = {"small": (0.10, 0.125), "large": (0.165, 0.20)}  # circumscribed radius
MIN_CONTRAST = 0.35  # least RGB distance between an object and its background


@dataclass(frozen=True)
class Object:
    """One shape: its names, and the figures that the renderer draws from."""

    colour: str
    shape: str
    size: str
    x: float
    y: float
    radius: float
    angle: float  # radians, clockwise
    rgb: tuple[float, float, float]

    @property
    def column(self) -> int:
        """0 left, 1 centre, 2 right."""
        return 0 if self.x < 0.35 else 1 if self.x < 0.65 else 2

    @property
    def row(self) -> int:
        """0 top, 1 middle, 2 bottom."""
        return 0 if self.y < 0.35 else 1 if self.y < 0.65 else 2

    @property
    def pair(self) -> tuple[str, str]:
        return (self.colour, self.shape)


@dataclass(frozen=True)
class Background:
    """Two close colours mixed by a pattern: solid, gradient, stripes, checks or blotches."""

    kind: str
    tone: str  # light, dark, or mid (which captions never name)
    rgb_a: tuple[float, float, float]
    rgb_b: tuple[float, float, float]
    angle: float
    frequency: float  # pattern periods across the scene
    noise: float  # half-width of uniform noise added to every pixel, 0..1 scale
    seed: int  # of the noise


@dataclass(frozen=True)
class Scene:
    """One to three objects, of which no two overlap, on a background."""

    objects: tuple[Object, ...]
    background: Background


def sample_object(rng: Random, cell: tuple[int, int], size: str, pair: tuple[str, str] | None = None) -> Object:
    """An object of random looks in grid cell (column, row)."""
    colour, shape = pair or (rng.choice(COLOUR_NAMES), rng.choice(SHAPES))
    radius = rng.uniform(*RADII[size])
    return Object(
        colour, shape, size,
        x=_centre(rng, cell[0], radius), y=_centre(rng, cell[1], radius),
        radius=radius, angle=rng.uniform(-0.16, 0.16), rgb=jittered_rgb(rng, colour),
    )


def sample_scene(rng: Random, count: int | None = None) -> Scene:
    """A random scene of `count` objects (drawn from 1, 2, 3 when None)."""
    count = count or rng.choices((1, 2, 3), (0.3, 0.4, 0.3))[0]
    while True:
        objects = tuple(
            sample_object(rng, cell, rng.choices(SIZES, (0.4 + 0.1 * count, 0.6 - 0.1 * count))[0])
            for cell in _sample_cells(rng, count)
        )
        if count > 1 and rng.random() < 0.04:  # twins, so that counting is part of the world
            twin = objects[0]
            objects = (twin, replace(objects[1], colour=twin.colour, shape=twin.shape, rgb=twin.rgb), *objects[2:])
        if not overlapping(objects):
            return Scene(objects, sample_background(rng, objects))


def overlapping(objects: tuple[Object, ...]) -> bool:
    """Whether any two objects come closer than a small gap."""
    return any(
        (a.x - b.x) ** 2 + (a.y - b.y) ** 2 < (a.radius + b.radius + 0.015) ** 2
        for i, a in enumerate(objects) for b in objects[:i]
    )


def jittered_rgb(rng: Random, colour: str) -> tuple[float, float, float]:
    return tuple(min(1.0, max(0.0, c + rng.uniform(-0.05, 0.05))) for c in COLOURS[colour])


def sample_background(rng: Random, objects: tuple[Object, ...]) -> Background:
    """A background on which every one of `objects` is clearly visible."""
    while True:
        tone = rng.choices(("light", "dark", "mid"), (0.45, 0.3, 0.25))[0]
        base = rng.uniform(*{"light": (0.78, 1.0), "dark": (0.0, 0.22), "mid": (0.38, 0.62)}[tone])
        tint = 0.0 if rng.random() < 0.3 else 0.09
        rgb_a = _shifted(rng, (base,) * 3, tint)
        kind = rng.choices(("solid", "gradient", "stripes", "checks", "blotches"), (0.4, 0.25, 0.1, 0.1, 0.15))[0]
        rgb_b = rgb_a if kind == "solid" else _shifted(rng, rgb_a, 0.08)
        if all(_distance(o.rgb, c) >= MIN_CONTRAST for o in objects for c in (rgb_a, rgb_b)):
            return Background(
                kind, tone, rgb_a, rgb_b, angle=rng.uniform(0, 6.283), frequency=rng.uniform(2, 7),
                noise=0.0 if rng.random() < 0.5 else rng.uniform(0.01, 0.06), seed=rng.getrandbits(32),
            )


def visible(scene: Scene) -> bool:
    """Whether every object stands out from the background."""
    b = scene.background
    return all(_distance(o.rgb, c) >= MIN_CONTRAST for o in scene.objects for c in (b.rgb_a, b.rgb_b))


def _sample_cells(rng: Random, count: int) -> list[tuple[int, int]]:
    """Distinct (column, row) cells; pairs often share a row or a column, so that relations are plain."""
    if count == 2 and rng.random() < 0.7:
        line, (a, b) = rng.randrange(3), rng.choice(((0, 2), (2, 0), (0, 1), (1, 0), (1, 2), (2, 1)))
        cells = [(a, line), (b, line)]
        return cells if rng.random() < 0.5 else [(y, x) for x, y in cells]
    if count == 3 and rng.random() < 0.4:
        line, order = rng.randrange(3), rng.sample(range(3), 3)
        return [(c, line) for c in order] if rng.random() < 0.5 else [(line, c) for c in order]
    return [(i % 3, i // 3) for i in rng.sample(range(9), count)]


def _centre(rng: Random, index: int, radius: float) -> float:
    position = CELL_CENTRES[index] + rng.uniform(-JITTER, JITTER)
    return min(1 - radius - 0.01, max(radius + 0.01, position))


def _shifted(rng: Random, rgb: tuple[float, ...], by: float) -> tuple[float, float, float]:
    return tuple(min(1.0, max(0.0, c + rng.uniform(-by, by))) for c in rgb)


def _distance(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b)) ** 0.5
