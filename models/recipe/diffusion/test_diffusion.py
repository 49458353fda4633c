"""Tests of what shapes-diffusion learns from and is judged by, `python -m unittest recipe.diffusion.test_diffusion`: seconds."""

import unittest
from random import Random

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import nn

from ..clip.tokenizer import build
from ..vlm.describe import caption as described
from ..vlm.describe import named
from ..world.claims import holds
from ..world.scene import sample_scene
from ..world.vocabulary import COLOUR_NAMES, SHAPES
from . import model as architecture
from .attend import GROUND, Watch, owners
from .data import spelt
from .evaluate import ask
from .judges import near_misses, read
from .latents import shard_scenes
from .model import TOKENS
from .muon import OrthogonalMasters
from .norm import SwiftNorm
from .pictures import Pictures
from .prompts import named_at, prompt
from .settle import SCALE, measure, settle
from .swift import PlainAttention, SwiftConv


class Swift(unittest.TestCase):
    def same(self, module, swift, x, tolerance=1e-4):
        """Outputs and all gradients, in f32."""
        x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
        results = []
        for kind in (type(module), swift):
            module.__class__ = kind
            out = module(x)
            torch.manual_seed(0)
            results.append([out, *torch.autograd.grad(out, [x, *module.parameters()], torch.randn(out.shape))])
        for ours, theirs in zip(*results):
            self.assertLess((ours - theirs).abs().max().item(), tolerance * max(1.0, theirs.abs().max().item()))

    def test_convolutions(self):
        torch.manual_seed(1)
        for kernel, stride, padding, size in ((3, 1, 1, 8), (3, 2, 1, 8), (3, 2, 0, 9), (1, 1, 0, 8)):
            self.same(nn.Conv2d(5, 7, kernel, stride, padding), SwiftConv, torch.randn(2, 5, size, size))

    def test_norms(self):
        torch.manual_seed(2)
        norm = nn.GroupNorm(4, 16)
        nn.init.normal_(norm.weight), nn.init.normal_(norm.bias)
        self.same(norm, SwiftNorm, torch.randn(3, 16, 8, 8) * 2 + 1)

    def test_attention_of_both_networks(self):
        torch.manual_seed(3)
        unet, vae = architecture.fresh_unet(1), architecture.fresh_vae(1)
        latents, said, times = torch.randn(2, 4, 16, 16), torch.randn(2, TOKENS, architecture.TEXT_WIDTH), torch.tensor([5, 700])
        with torch.no_grad():
            before = unet(latents, times, said).sample, vae.decode(latents).sample
            unet.set_attn_processor(PlainAttention()), vae.set_attn_processor(PlainAttention())
            after = unet(latents, times, said).sample, vae.decode(latents).sample
        for a, b in zip(before, after):
            self.assertLess((a - b).abs().max().item(), 1e-4)


class Optimiser(unittest.TestCase):
    def test_a_resumed_run_takes_the_same_steps(self):
        def run(steps, state=None):
            torch.manual_seed(4)
            module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4), nn.Flatten(), nn.Linear(16, 2))
            masters = OrthogonalMasters([module], 0.01, 0.01, 0.9, gentle=(0, 0.5))
            if state:
                masters.load(state)
            for step in steps:
                module(torch.full((2, 3, 4, 4), float(step))).square().sum().backward()
                masters.step(0.01, step)
            return masters

        whole, half = run(range(6)), run(range(3))
        rest = run(range(3, 6), half.state())
        for a, b in zip(whole.mean, rest.mean):
            self.assertTrue(torch.equal(a, b))


class Prompts(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer: Tokenizer = build()[0]

    def test_prompts_are_true_name_everything_and_fit(self):
        rng = Random(5)
        for _ in range(1500):
            scene = sample_scene(rng)
            said = prompt(scene, rng)
            self.assertTrue(holds(said.claim, scene), said.text)
            self.assertEqual(len(said.claim.wants) or said.claim.count, len(scene.objects), said.text)
            self.assertLess(len(self.tokenizer.encode(said.text).ids), TOKENS, said.text)

    def test_words_mean_their_object(self):
        rng = Random(6)
        for _ in range(500):
            scene = sample_scene(rng)
            text = prompt(scene, rng).text
            for end, obj in named_at(text, scene):
                last = text[:end].lower().split()[-1]
                about = scene.objects[obj]
                if last in COLOUR_NAMES:
                    self.assertEqual(last, about.colour, text)
                if last in SHAPES:
                    self.assertEqual(last, about.shape, text)

    def test_marked_tokens_end_the_words(self):
        rng = Random(7)
        scenes = [sample_scene(rng) for _ in range(60)]
        texts = [prompt(s, rng).text for s in scenes]
        ids, words = spelt(self.tokenizer, texts, scenes)
        self.assertTrue(words[:, GROUND, 0].all())
        self.assertGreater(words[:, :GROUND].any(2).sum(), 80)
        for n, obj, token in zip(*words[:, :GROUND].nonzero()):
            piece = self.tokenizer.id_to_token(int(ids[n, token]))
            self.assertTrue(piece.endswith("</w>"), piece)


class Places(unittest.TestCase):
    def test_owners_cover_their_middle(self):
        rng = Random(8)
        scenes = [sample_scene(rng) for _ in range(100)]
        for grid in (4, 8):
            owner = owners(scenes, grid)
            for n, scene in enumerate(scenes):
                for k, o in enumerate(scene.objects):
                    self.assertIn(k, owner[n], (grid, scene))
                    if grid == 8:
                        self.assertEqual(owner[n, int(o.y * grid) * grid + int(o.x * grid)], k)

    def test_looking_right_costs_nothing(self):
        unet = architecture.fresh_unet(0)
        watch = Watch(unet)
        batch = {"words": torch.zeros(1, 4, TOKENS)}
        batch["words"][0, GROUND, 0] = batch["words"][0, 1, 7] = 1
        for grid, kept in zip(watch.grids, watch.kept):
            owner = torch.full((1, grid * grid), GROUND)
            owner[0, 3] = 1
            batch[f"owner_{grid}"] = owner
            kept.weights = F.one_hot(torch.where(owner == 1, 7, 0), TOKENS).float()[:, None].expand(-1, 4, -1, -1)
        self.assertEqual(watch.loss(batch).item(), 0.0)


class Training(unittest.TestCase):
    def test_scenes_keep_to_their_side_and_come_back(self):
        import recipe.diffusion.latents as latents
        whole, latents.SHARD = latents.SHARD, 50
        try:
            self.assertEqual(shard_scenes(1, 0), shard_scenes(1, 0))
            self.assertNotEqual(shard_scenes(1, 0), shard_scenes(1, 1))
        finally:
            latents.SHARD = whole

    def test_windows_show_the_scene(self):
        for side in (64, 128):
            batch = Pictures(4, side, 1)[3]
            self.assertEqual(tuple(batch["clean"].shape), (4, 3, side, side))
            self.assertLessEqual((batch["clean"] - batch["noisy"]).abs().max().item(), 0.121)

    def test_settling_changes_the_scale_and_nothing_else(self):
        vae = architecture.fresh_vae(2)
        x = Pictures(2, 128, 1)[0]["clean"]
        with torch.no_grad():
            before = vae.decode(vae.encode(x).latent_dist.mean).sample
            mean, deviation = torch.tensor([0.5, -1.0, 2.0, 0.0]), torch.tensor([0.5, 1.0, 2.0, 3.0])
            plain = vae.encode(x).latent_dist
            settle(vae, mean, deviation)
            settled = vae.encode(x).latent_dist
            after = vae.decode(settled.mean).sample
        self.assertLess((before - after).abs().max().item(), 1e-4)
        shape = (1, 4, 1, 1)
        for ours, wanted in ((settled.mean * SCALE, (plain.mean - mean.view(shape)) / deviation.view(shape)), (settled.std * SCALE, plain.std / deviation.view(shape))):
            self.assertLess((ours - wanted).abs().max().item(), 1e-4)
        self.assertEqual(tuple(measure(vae, 32)[0].shape), (4,))


class Judges(unittest.TestCase):
    def test_descriptions_are_read_as_scenes(self):
        rng = Random(9)
        for _ in range(300):
            scene, said = ask(rng, rng.choice((1, 2, 3)))
            seen = read(described(scene))
            self.assertEqual(named(seen), named(scene))
            self.assertEqual([(o.size, o.column, o.row) for o in sorted(seen.objects, key=lambda o: (o.row, o.column))],
                             [(o.size, o.column, o.row) for o in sorted(scene.objects, key=lambda o: (o.row, o.column))])
            if said.claim.tone is None:
                self.assertTrue(holds(said.claim, seen), said.text)

    def test_near_misses_differ(self):
        right = [("red", "circle"), ("blue", "circle")]
        missed = near_misses(right)
        self.assertNotIn(sorted(right), [sorted(m) for m in missed])
        self.assertEqual(len(missed), 2 * (9 + 7))  # the shapes are alike, so nothing is won by a swap
        self.assertIn([("red", "circle"), ("green", "circle")], missed)


if __name__ == "__main__":
    unittest.main()
