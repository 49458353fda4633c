"""Signed distance functions of the shapes, each inside the unit circle.

Inputs x, y: float arrays of one shape, y downwards; result: distance to the outline, negative
inside (exact, or a lower bound that is exact near the outline, which is what antialiasing reads).
Formulae after Inigo Quilez, "2D distance functions", https://iquilezles.org/articles/distfunctions2d/.
"""

import numpy as np


def circle(x, y):
    return np.hypot(x, y) - 0.9


def square(x, y):
    return np.maximum(np.abs(x), np.abs(y)) - 0.76


def triangle(x, y):
    """Equilateral, apex up."""
    return np.maximum(y, 0.8660254 * np.abs(x) - 0.5 * y) - 0.5


def diamond(x, y):
    """A rhombus taller than wide."""
    return (np.abs(x) / 0.68 + np.abs(y) - 1.0) / 1.778


def star(x, y):
    """Five points, one up: the plane folded into a tenth, then one straight edge."""
    tenth = np.pi / 5
    angle = np.abs((np.arctan2(x, -y) + tenth) % (2 * tenth) - tenth)
    length = np.hypot(x, y)
    fx, fy = length * np.sin(angle), length * np.cos(angle)
    return (fx * 0.660 + (fy - 1.0) * 0.247) / 0.7047


def heart(x, y):
    scale = 0.62
    px, py = np.abs(x) * scale, 0.55 - y * scale
    lobe = np.hypot(px - 0.25, py - 0.75) - 0.35355
    fold = 0.5 * np.maximum(px + py, 0)
    lower = np.sqrt(np.minimum(px**2 + (py - 1) ** 2, (px - fold) ** 2 + (py - fold) ** 2)) * np.sign(px - py)
    return np.where(px + py > 1, lobe, lower) / scale


def cross(x, y):
    """An upright plus sign."""
    ax, ay = np.abs(x), np.abs(y)
    return np.minimum(np.maximum(ax - 0.3, ay - 0.92), np.maximum(ay - 0.3, ax - 0.92))


def ring(x, y):
    return np.abs(np.hypot(x, y) - 0.68) - 0.24


DISTANCE = {
    "circle": circle, "square": square, "triangle": triangle, "diamond": diamond,
    "star": star, "heart": heart, "cross": cross, "ring": ring,
}
