"""Measures the published files: `python -m recipe.diffusion.evaluate --model shapes-diffusion`.

Held-out prompts of one, two and three objects are drawn by StableDiffusionPipeline in f32 from the f16
files, several pictures each, and judged by shapes-vlm and shapes-clip (`judges`). "best of" is
the picture that shapes-clip finds most like the prompt, which is what the server's `best_of` returns. The
renderer's own pictures of the same scenes go before the same judges, to show how far these are to be trusted.
"""

import argparse
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from random import Random

from ..clip.ranking import sample_side
from ..vlm.describe import named
from ..world.captions import caption, complete_caption
from ..world.claims import holds
from ..world.render import render_batch
from ..world.scene import Scene
from ..world.wording import Caption
from .judges import WORDS, Describer, Matcher
from .model import SIDE
from .painter import Painter
from .pictures import still
from .sheet import contact_sheet

COUNTS = {1: 70, 2: 80, 3: 50}  # prompts by the number of objects, of 200
SHEET = {1: 12, 2: 14, 3: 10}


@dataclass(frozen=True)
class Drawing:
    """One picture of a prompt: how like the prompt shapes-clip finds it, and what the judges say is right (name -> bool)."""

    likeness: float
    right: dict[str, bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("shapes-diffusion"))
    parser.add_argument("--clip", type=Path, default=Path("shapes-clip"))
    parser.add_argument("--vlm", type=Path, default=Path("shapes-vlm"))
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--each", type=int, default=4, help="pictures of each prompt")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--sheet", type=Path, help="also write a contact sheet of 36 first pictures, PNG")
    args = parser.parse_args()
    rng = Random(args.seed)
    asked = [ask(rng, n) for n, share in COUNTS.items() for _ in range(share * args.prompts // 200)]
    texts = [said.text for _, said in asked for _ in range(args.each)]
    pictures = Painter(args.model, args.steps, args.guidance).paint(texts, [args.seed + k for k in range(len(texts))])
    judges = Matcher(args.clip), Describer(args.vlm)
    drawings = judge(asked, pictures, args.each, *judges)
    rendered = judge(asked, render_batch([still(scene) for scene, _ in asked], SIDE), 1, *judges)
    figures = {}
    for n in COUNTS:
        of = [k for k, (scene, _) in enumerate(asked) if len(scene.objects) == n]
        figures[n] = report([drawings[k] for k in of]) | {"the renderer's": _shares([rendered[k][0] for k in of])}
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")
    if args.sheet:
        shown = [k for n, some in SHEET.items() for k in [i for i, (s, _) in enumerate(asked) if len(s.objects) == n][:some]]
        contact_sheet([pictures[k * args.each] for k in shown], [asked[k][1].text for k in shown]).save(args.sheet, optimize=True)


def ask(rng: Random, count: int) -> tuple[Scene, Caption]:
    """A held-out scene of `count` objects and a prompt that names each; of two objects, how they lie as well."""
    while True:
        scene = sample_side(rng, "held-out", count)
        said = caption(scene, rng, "related") if count == 2 else complete_caption(scene, rng)
        if all(w.colour and w.shape for w in said.claim.wants):
            return scene, said


def judge(asked, pictures, each: int, matcher: Matcher, describer: Describer) -> list[list[Drawing]]:
    """The drawings of every prompt; picture k belongs to prompt k // each."""
    images, seen = matcher.images(pictures), describer.scenes(pictures)
    likeness = matcher.likeness(images, [said.text for _, said in asked for _ in range(each)])
    drawings = [[] for _ in asked]
    for k, (image, shown) in enumerate(zip(images, seen)):
        scene, said = asked[k // each]
        drawings[k // each].append(Drawing(float(likeness[k]), _marks(scene, said, image, shown, matcher)))
    return drawings


def _marks(scene, said, image, shown, matcher) -> dict[str, bool]:
    claim, want = said.claim, named(scene)
    marks = {"vlm: exactly these colours and shapes": named(shown) == want, "vlm: all that was asked for": holds(_untoned(claim), shown)}
    if len(scene.objects) == 1:
        colour, shape = matcher.lone(image)
        marks |= {"clip: colour": colour == scene.objects[0].colour, "clip: shape": shape == scene.objects[0].shape}
        marks["clip: colour and shape"] = (colour, shape) == scene.objects[0].pair
    else:
        marks["clip: colours and shapes among near misses"] = matcher.names(image, claim.wants)
    if len(scene.objects) == 2:
        i, name, j = claim.relations[0]
        marks["vlm: colours, shapes and relation"] = not (want - named(shown)) and holds(claim, shown)
        if name in WORDS:
            marks["clip: relation rather than its opposite"] = matcher.relation(image, claim.wants[i], name, claim.wants[j])
    return marks


def _untoned(claim):
    """The claim without the background, which descriptions do not name."""
    return type(claim)(claim.wants, claim.relations, claim.count)


def report(prompts: list[list[Drawing]]) -> dict:
    """Shares by mark: over all pictures, and over the one of each prompt that shapes-clip likes best."""
    best = [max(drawn, key=lambda d: d.likeness) for drawn in prompts]
    return {"prompts": len(prompts), "best of 1": _shares([d for drawn in prompts for d in drawn]),
            f"best of {len(prompts[0]) if prompts else 0}": _shares(best)}


def _shares(drawings: list[Drawing]) -> dict[str, float]:
    right, asked = Counter(), Counter()
    for drawing in drawings:
        for name, mark in drawing.right.items():
            right[name] += mark
            asked[name] += 1
    return {name: round(right[name] / asked[name], 4) for name in asked}


if __name__ == "__main__":
    main()
