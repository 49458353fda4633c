"""Draws the example pictures: `python -m recipe.clip.examples --to examples`.

Plain 256x256 PNGs of held-out scenes, and `captions.json`: for each file a caption that is true of
it and of no other, plus its objects.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from random import Random

from PIL import Image

from ..world.captions import Caption, caption
from ..world.claims import truth_matrix
from ..world.render import render
from ..world.scene import Background, Scene
from ..world.wording import OPENINGS
from .ranking import sample_side

PHRASINGS = ("placed", "placed", "related", "related", "related", "chained", "in_order", "sided")
COUNTS = (1, 1, 2, 2, 2, 3, 3, 3)
GROUNDS = ((0.96, 0.96, 0.94), (0.12, 0.13, 0.16), (0.86, 0.90, 0.95), (0.5, 0.5, 0.5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=Path("examples"))
    parser.add_argument("--seed", type=int, default=13)
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    scenes, captions = _draw(Random(args.seed))
    index = []
    for scene, said in zip(scenes, captions):
        name = "-and-".join(f"{o.colour}-{o.shape}" for o in scene.objects) + ".png"
        Image.fromarray(render(scene, 256)).save(args.to / name, optimize=True)
        objects = [{"colour": o.colour, "shape": o.shape, "size": o.size, "column": o.column, "row": o.row} for o in scene.objects]
        index.append({"file": name, "caption": said.text, "objects": objects})
    (args.to / "captions.json").write_text(json.dumps(index, indent=2) + "\n")


def _draw(rng: Random):
    """Eight scenes and captions, each caption true of its own scene alone."""
    while True:
        scenes, captions = [], []
        for count, phrasing in zip(COUNTS, PHRASINGS):
            scene, said = _one(rng, count, phrasing)
            scenes.append(scene)
            captions.append(said)
        if truth_matrix([c.claim for c in captions], scenes).sum() == len(scenes):
            return scenes, captions


def _one(rng: Random, count: int, phrasing: str) -> tuple[Scene, Caption]:
    """A scene whose objects share neither colour nor shape, and a plain caption that names each by its own words."""
    while True:
        scene = _plain(rng, sample_side(rng, "held-out", count))
        if scene is None:
            continue
        try:
            said = caption(scene, rng, phrasing)
        except ValueError:
            continue
        names = [name for o in scene.objects for name in o.pair]
        words = said.text.replace(",", " ").replace(":", " ").split()
        articles = words.count("a") + words.count("an")
        plain = said.text.islower() and not said.text.endswith(".") and not said.text.startswith(tuple(filter(None, OPENINGS)))
        if plain and articles == count and len(set(names)) == len(names) and all(name in words for name in names):
            return scene, said


def _plain(rng: Random, scene: Scene) -> Scene | None:
    """The scene on one flat colour, without noise, so that the PNG stays small; None where no ground suits it."""
    for ground in rng.sample(GROUNDS, len(GROUNDS)):
        if all(sum((a - b) ** 2 for a, b in zip(o.rgb, ground)) > 0.3 for o in scene.objects):
            tone = "light" if ground[0] > 0.7 else "dark" if ground[0] < 0.3 else "mid"
            return replace(scene, background=Background("solid", tone, ground, ground, 0.0, 1.0, 0.0, 0))
    return None


if __name__ == "__main__":
    main()
