"""The words of the world: colours, shapes, sizes, places, and the pairs that training never shows."""

COLOURS = {
    # name: sRGB in 0..1, the centre around which each object's colour is jittered
    "red": (0.86, 0.13, 0.14),
    "orange": (0.97, 0.53, 0.08),
    "yellow": (0.96, 0.86, 0.18),
    "green": (0.16, 0.63, 0.26),
    "cyan": (0.22, 0.82, 0.86),
    "blue": (0.14, 0.30, 0.84),
    "purple": (0.51, 0.18, 0.68),
    "pink": (0.97, 0.58, 0.76),
    "white": (0.97, 0.97, 0.97),
    "black": (0.05, 0.05, 0.05),
}
SHAPES = ("circle", "square", "triangle", "diamond", "star", "heart", "cross", "ring")
SIZES = ("small", "large")
TONES = ("light", "dark", "mid")
COLUMNS = ("left", "centre", "right")
ROWS = ("top", "middle", "bottom")

COLOUR_NAMES = tuple(COLOURS)

# Training shows none of these, in any scene or caption; `clip.evaluate` reports them apart.
NEVER_SHOWN_PAIRS = frozenset({
    ("purple", "star"),
    ("orange", "heart"),
    ("green", "ring"),
    ("cyan", "triangle"),
    ("white", "cross"),
})

# Other words for the same thing, used in a small part of the captions.
COLOUR_SYNONYMS = {"purple": ("violet",), "cyan": ("turquoise",), "red": ("crimson",)}
SHAPE_SYNONYMS = {"circle": ("disc", "disk"), "diamond": ("rhombus",), "cross": ("plus sign", "plus")}
SIZE_SYNONYMS = {"small": ("little", "tiny"), "large": ("big", "huge")}
