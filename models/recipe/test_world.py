"""Tests of the world, `python -m unittest recipe.test_world`: captions are true, the split is stable, rendering repeats."""

import unittest
from random import Random

import numpy as np

from .world.captions import PHRASINGS, caption, complete_caption
from .world.claims import Claim, Want, holds, truth_matrix
from .world.render import render, render_batch
from .world.scene import Background, Object, Scene, overlapping, sample_scene, visible
from .world.split import combination, side
from .world.vocabulary import COLOURS, NEVER_SHOWN_PAIRS

PLAIN = Background("solid", "light", (0.95,) * 3, (0.95,) * 3, 0.0, 1.0, 0.0, 0)


def scene_of(*placed) -> Scene:
    """Objects from (colour, shape, x, y) tuples, all small."""
    return Scene(tuple(Object(c, s, "small", x, y, 0.11, 0.0, COLOURS[c]) for c, s, x, y in placed), PLAIN)


RED_ABOVE_BLUE = scene_of(("red", "circle", 0.5, 0.2), ("blue", "square", 0.5, 0.8))


class Captions(unittest.TestCase):
    def test_every_phrasing_is_true_of_its_scene(self):
        rng, made = Random(1), set()
        for _ in range(1500):
            scene = sample_scene(rng)
            for said in (caption(scene, rng), complete_caption(scene, rng)):
                self.assertTrue(holds(said.claim, scene), (said, scene))
            for name in PHRASINGS:
                try:
                    said = caption(scene, rng, name)
                except ValueError:
                    continue
                made.add(name)
                self.assertTrue(holds(said.claim, scene), (said, scene))
        self.assertEqual(made, set(PHRASINGS))

    def test_claims_tell_near_misses_apart(self):
        red, blue = Want("red", "circle"), Want("blue", "square")
        rows = [
            (Claim((red,)), True),
            (Claim((Want("red", "square"),)), False),
            (Claim((red, blue), ((0, "above", 1),)), True),
            (Claim((blue, red), ((0, "above", 1),)), False),
            (Claim((red, blue), ((0, "left", 1),)), False),
            (Claim((red, red)), False),
            (Claim((red,), count=1), False),
            (Claim((), count=2), True),
            (Claim((red,), tone="dark"), False),
            (Claim((Want("red", column=1, row=0),)), True),
        ]
        for claim, expected in rows:
            self.assertEqual(holds(claim, RED_ABOVE_BLUE), expected, claim)

    def test_the_matrix_agrees_with_one_by_one(self):
        rng = Random(2)
        scenes = [sample_scene(rng) for _ in range(30)]
        claims = [caption(s, rng).claim for s in scenes]
        one_by_one = [[holds(c, s) for s in scenes] for c in claims]
        self.assertEqual(truth_matrix(claims, scenes).tolist(), one_by_one)


class Split(unittest.TestCase):
    def test_sides_never_change(self):
        rows = [
            (RED_ABOVE_BLUE, "train"),
            (scene_of(("red", "heart", 0.2, 0.2)), "held-out"),
            (scene_of(("red", "heart", 0.8, 0.5)), "held-out"),
            (scene_of(("red", "circle", 0.8, 0.5)), "train"),
            (scene_of(("purple", "star", 0.5, 0.5)), "never-shown"),
        ]
        for scene, expected in rows:
            self.assertEqual(side(scene), expected, combination(scene))

    def test_the_order_of_objects_does_not_matter(self):
        turned = Scene(RED_ABOVE_BLUE.objects[::-1], PLAIN)
        self.assertEqual(combination(turned), combination(RED_ABOVE_BLUE))

    def test_never_shown_pairs_are_on_no_other_side(self):
        rng = Random(3)
        for _ in range(500):
            scene = sample_scene(rng)
            shown = not any(o.pair in NEVER_SHOWN_PAIRS for o in scene.objects)
            self.assertEqual(side(scene) in ("train", "held-out"), shown)


class Rendering(unittest.TestCase):
    def test_same_scene_same_bytes_alone_or_in_a_batch(self):
        rng = Random(4)
        scenes = [sample_scene(rng) for _ in range(40)]
        batch = render_batch(scenes, 64)
        for scene, picture in zip(scenes, batch):
            self.assertTrue(np.array_equal(render(scene, 64), picture))

    def test_objects_show_their_colour_where_they_stand(self):
        picture = render(RED_ABOVE_BLUE, 200, 100)
        self.assertEqual(picture.shape, (100, 200, 3))
        for (x, y), colour in (((100, 20), "red"), ((100, 80), "blue")):
            self.assertLess(np.abs(picture[y, x] / 255 - COLOURS[colour]).max(), 0.01)

    def test_scenes_are_clear(self):
        rng = Random(5)
        for _ in range(500):
            scene = sample_scene(rng)
            self.assertFalse(overlapping(scene.objects))
            self.assertTrue(visible(scene))


if __name__ == "__main__":
    unittest.main()
