"""Measures the published files: `python -m recipe.clip.evaluate --model shapes-clip`.

Everything goes the way of a real request: a PNG- or JPEG-like picture, CLIPProcessor, CLIPModel
in f32 from the f16 file. Each test runs on held-out combinations and, apart, on scenes with a
colour-shape pair that training never showed.
"""

import argparse
import json
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from PIL import Image
from transformers import CLIPModel, CLIPProcessor

from ..world.render import render
from ..world.vocabulary import COLOUR_NAMES, SHAPES
from .degrade import through_jpeg
from .ranking import ranking_set, sample_side

TEMPLATES = ("a photo of a {}", "{}", "a photo of something {}", "a {} shape")
SHAPE_TEMPLATES = ("a photo of a {}", "{}", "a picture of a {}", "THERE IS A {}")
SIDES = ("held-out", "never-shown")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("shapes-clip"))
    parser.add_argument("--sets", type=int, default=20, help="ranking sets of 100 for each figure")
    parser.add_argument("--singles", type=int, default=1000, help="pictures for each zero-shot figure")
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    towers = Towers(args.model)
    figures = {}
    for of in SIDES:
        figures[of] = {"ranking": ranking(towers, of, args.sets, args.seed), **zero_shot(towers, of, args.singles, args.seed)}
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2) + "\n")


class Towers:
    """The published model behind its own processor."""

    def __init__(self, folder: Path):
        self.model = CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
        self.processor = CLIPProcessor.from_pretrained(folder)

    @torch.no_grad()
    def images(self, pictures) -> torch.Tensor:
        """Embeddings (n, dim) of uint8 pictures, not normalised."""
        inputs = self.processor.image_processor([Image.fromarray(p) for p in pictures], return_tensors="pt")
        return self.model.get_image_features(**inputs).pooler_output

    @torch.no_grad()
    def texts(self, texts: list[str]) -> torch.Tensor:
        """Embeddings (n, dim) of texts, not normalised."""
        inputs = self.processor.tokenizer(texts, padding=True, return_tensors="pt")
        return self.model.get_text_features(**inputs).pooler_output


# How a picture may arrive: name -> scene to uint8 picture.
ARRIVALS = {
    "64x64": lambda scene: render(scene, 64),
    "256x256 jpeg": lambda scene: through_jpeg(render(scene, 256), 85),
    "512x512": lambda scene: render(scene, 512),
    "640x480 jpeg": lambda scene: through_jpeg(render(scene, 640, 480), 85),
}


def ranking(towers: Towers, of: str, sets: int, seed: int) -> dict:
    """Top-1 among 100 distinct scenes, both ways; by arrival, by prefix, and by number of objects."""
    rng = Random(seed)
    drawn = [ranking_set(rng, of) for _ in range(sets)]
    texts = [towers.texts([c.text for _, c in chosen]) for chosen in drawn]
    report = {}
    for arrival, draw in ARRIVALS.items():
        images = [towers.images([draw(s) for s, _ in chosen]) for chosen in drawn]
        report[arrival] = _both_ways(images, texts)
        if arrival == "64x64":
            for dim in towers.model.config.matryoshka_dimensions[:-1]:
                report[f"first {dim} dimensions"] = _both_ways([i[:, :dim] for i in images], [t[:, :dim] for t in texts])
            report["by objects"] = _by_objects(drawn, images, texts)
    return report


def zero_shot(towers: Towers, of: str, count: int, seed: int) -> dict:
    """Share of single objects whose colour, shape and both win among all labels, by template and arrival."""
    rng = Random(seed + 1)
    scenes = [sample_side(rng, of, 1) for _ in range(count)]
    objects = [s.objects[0] for s in scenes]
    report = {"colour": {}, "shape": {}, "colour and shape": {}}
    both = [f"{c} {s}" for c in COLOUR_NAMES for s in SHAPES]
    for arrival in ("64x64", "256x256 jpeg"):
        images = towers.images([ARRIVALS[arrival](s) for s in scenes])
        tests = [("colour", t, COLOUR_NAMES, [o.colour for o in objects]) for t in TEMPLATES]
        tests += [("shape", t, SHAPES, [o.shape for o in objects]) for t in SHAPE_TEMPLATES]
        tests += [("colour and shape", "a photo of a {}", both, [f"{o.colour} {o.shape}" for o in objects])]
        for what, template, labels, truth in tests:
            texts = towers.texts([template.format(label) for label in labels])
            best = _similarity(images, texts).argmax(1)
            right = sum(labels[b] == t for b, t in zip(best.tolist(), truth)) / count
            report[what][f"{template!r}, {arrival}"] = round(right, 4)
    return report


def _both_ways(images, texts) -> dict:
    to_image = sum((_similarity(t, i).argmax(1) == torch.arange(len(t))).float().mean().item() for i, t in zip(images, texts))
    to_text = sum((_similarity(i, t).argmax(1) == torch.arange(len(t))).float().mean().item() for i, t in zip(images, texts))
    return {"text to image": round(to_image / len(images), 4), "image to text": round(to_text / len(images), 4)}


def _by_objects(drawn, images, texts) -> dict:
    right = {n: [[], []] for n in (1, 2, 3)}
    for chosen, i, t in zip(drawn, images, texts):
        own = torch.arange(len(chosen))
        won = (_similarity(t, i).argmax(1) == own, _similarity(i, t).argmax(1) == own)
        for k, (scene, _) in enumerate(chosen):
            for way in (0, 1):
                right[len(scene.objects)][way].append(won[way][k].item())
    report = {}
    for n, (to_image, to_text) in right.items():
        if to_image:
            report[n] = {
                "share": round(len(to_image) / (100 * len(drawn)), 3),
                "text to image": round(sum(to_image) / len(to_image), 4),
                "image to text": round(sum(to_text) / len(to_text), 4),
            }
    return report


def _similarity(a, b) -> torch.Tensor:
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


if __name__ == "__main__":
    main()
