"""Draws scenes: many at once, at any size, antialiased, the same bytes for the same scene and size."""

import numpy as np

from .scene import RADII, Scene
from .shapes import DISTANCE


def render(scene: Scene, width: int, height: int | None = None) -> np.ndarray:
    """One scene as uint8 sRGB of shape (height, width, 3); height defaults to width."""
    return render_batch([scene], width, height)[0]


def render_batch(scenes: list[Scene], width: int, height: int | None = None) -> np.ndarray:
    """Scenes as uint8 sRGB of shape (n, height, width, 3).

    The scene's square takes the middle of the picture, its side the shorter of the two; the
    background goes on to the edges.
    """
    height = height or width
    side = min(width, height)
    origin = ((width - side) / 2, (height - side) / 2)
    pixels = _backgrounds(scenes, width, height, side, origin)
    _draw_objects(pixels, scenes, side, origin, [[o.rgb for o in scene.objects] for scene in scenes])
    for picture, scene in zip(pixels, scenes):
        if scene.background.noise > 0:
            noise = np.random.default_rng(scene.background.seed).random(picture.shape, dtype=np.float32)
            picture += (noise * 2 - 1) * scene.background.noise
    return (np.clip(pixels, 0, 1) * 255 + 0.5).astype(np.uint8)


def cover(scenes: list[Scene], size: int) -> np.ndarray:
    """How much of each pixel belongs to an object, floats in 0..1 of shape (n, size, size)."""
    pixels = np.zeros((len(scenes), size, size, 1), dtype=np.float32)
    _draw_objects(pixels, scenes, size, (0, 0), [[(1.0,)] * len(scene.objects) for scene in scenes])
    return pixels[..., 0]


def _backgrounds(scenes, width, height, side, origin) -> np.ndarray:
    """(n, height, width, 3) floats in 0..1."""
    x = ((np.arange(width, dtype=np.float32) + 0.5 - origin[0]) / side)[None, :]
    y = ((np.arange(height, dtype=np.float32) + 0.5 - origin[1]) / side)[:, None]
    pixels = np.empty((len(scenes), height, width, 3), dtype=np.float32)
    for picture, scene in zip(pixels, scenes):
        b = scene.background
        first = np.array(b.rgb_a, dtype=np.float32)
        if b.kind == "solid":
            picture[:] = first
        else:
            mix = _pattern(b, x, y)
            picture[:] = first + mix[..., None] * (np.array(b.rgb_b, dtype=np.float32) - first)
    return pixels


def _pattern(b, x, y) -> np.ndarray:
    """The share of the second colour, 0..1, at every pixel."""
    c, s = np.float32(np.cos(b.angle)), np.float32(np.sin(b.angle))
    u, v = (x - 0.5) * c + (y - 0.5) * s, (y - 0.5) * c - (x - 0.5) * s
    turns = np.float32(2 * np.pi * b.frequency)
    if b.kind == "gradient":
        return np.clip(u * 0.7 + 0.5, 0, 1)
    if b.kind == "stripes":
        return 0.5 + 0.5 * np.sin(u * turns)
    if b.kind == "checks":
        return 0.5 + 0.5 * np.clip(4 * np.sin(u * turns) * np.sin(v * turns), -1, 1)
    slow = turns / 2
    return 0.5 + 0.25 * (np.sin(u * slow + 2 * np.sin(v * slow)) + np.sin(v * slow * 0.7 + b.angle))


def _draw_objects(pixels, scenes, side, origin, paints) -> None:
    """Blends every object into its picture in its paint, one shape at a time, inside a window that just holds it."""
    listed = [(i, o, p) for i, scene in enumerate(scenes) for o, p in zip(scene.objects, paints[i])]
    for shape, distance in DISTANCE.items():
        for size, (_, largest) in RADII.items():
            group = [(i, o, p) for i, o, p in listed if o.shape == shape and o.size == size]
            if group:
                _draw_group(pixels, group, distance, side, origin, int(2 * largest * side) + 4)


def _draw_group(pixels, group, distance, side, origin, window) -> None:
    height, width = pixels.shape[1:3]
    window = min(window, height, width)
    index = np.array([i for i, _, _ in group])
    figures = np.array([(o.x, o.y, o.radius, o.angle) for _, o, _ in group], dtype=np.float32)
    paint = np.array([p for _, _, p in group], dtype=np.float32)
    cx, cy = figures[:, 0] * side + origin[0], figures[:, 1] * side + origin[1]
    radius, angle = figures[:, 2] * side, figures[:, 3]
    left = np.clip((cx - window / 2).round().astype(int), 0, width - window)
    top = np.clip((cy - window / 2).round().astype(int), 0, height - window)
    columns, rows = left[:, None] + np.arange(window), top[:, None] + np.arange(window)
    dx = ((columns + 0.5 - cx[:, None]) / radius[:, None]).astype(np.float32)[:, None, :]
    dy = ((rows + 0.5 - cy[:, None]) / radius[:, None]).astype(np.float32)[:, :, None]
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    inside = np.clip(0.5 - distance(dx * c + dy * s, dy * c - dx * s) * radius[:, None, None], 0, 1)[..., None]
    where = (index[:, None, None], rows[:, :, None], columns[:, None, :])
    if len(set(index.tolist())) == len(index):
        below = pixels[where]
        pixels[where] = below + inside * (paint[:, None, None, :] - below)
        return
    for k in range(len(index)):  # twins: windows of one picture may overlap, so one after another
        spot = pixels[index[k], rows[k][0]:rows[k][-1] + 1, columns[k][0]:columns[k][-1] + 1]
        spot += inside[k] * (paint[k] - spot)
