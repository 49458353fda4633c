"""Tests of what shapes-vlm learns from, `python -m unittest recipe.vlm.test_vlm`: answers are true, and training
sees the text that the chat template makes."""

import json
import re
import unittest
from random import Random

import torch
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ..world.claims import Claim, Want, holds
from ..world.scene import sample_scene
from ..world.split import side
from ..world.vocabulary import COLOUR_NAMES, COLOUR_SYNONYMS, SHAPE_SYNONYMS, SHAPES, SIZE_SYNONYMS, SIZES
from . import pairs, questions, records
from .answers import there_are, yes
from .data import looks
from .describe import NUMBERS, caption, detailed, listing, named, parse
from .dialogue import END, Mix, Turn, head, sample
from .gaze import outer, references
from .muon import evened
from .packing import IGNORED, pack
from .tokenizer import SPECIALS, TEMPLATE, VOCABULARY, build


def want_in(text: str) -> Want:
    """What the words ask for, read back without the code that wrote them."""
    def one(names, synonyms):
        forms = [(form, name) for name in names for form in (name, *synonyms.get(name, ()))]
        found = [name for form, name in sorted(forms, key=lambda f: -len(f[0])) if re.search(rf"\b{form}(e?s)?\b", text)]
        return found[0] if found else None

    return Want(one(COLOUR_NAMES, COLOUR_SYNONYMS), one(SHAPES, SHAPE_SYNONYMS), one(SIZES, SIZE_SYNONYMS))


class Descriptions(unittest.TestCase):
    def test_the_parser_reads_back_what_descriptions_say(self):
        rng = Random(1)
        for _ in range(500):
            scene = sample_scene(rng)
            for say in (caption, detailed, listing):
                self.assertEqual(parse(say(scene)), named(scene), say(scene))

    def test_the_parser_wants_pairs(self):
        self.assertEqual(dict(parse("A red circle, a RED circle and a circle.")), {("red", "circle"): 2})
        self.assertEqual(dict(parse("red and blue circles")), {})


class Answers(unittest.TestCase):
    def made(self, family, seed, count=600):
        rng = Random(seed)
        for _ in range(count):
            scene = sample_scene(rng)
            made = questions.ask(scene, rng, family)
            if made:
                yield scene, made[1].lower().replace("colour", "color"), made[2]

    def test_every_family_answers(self):
        for family in questions.FAMILIES:
            self.assertGreater(len(list(self.made(family, 2, 100))), 5, family)

    def test_existence(self):
        for scene, question, answer in self.made("exists", 3):
            if not re.search(r"\b(in the (top|bottom|cent|midd)|on the|at the)", question):
                self.assertEqual(answer, yes(holds(Claim((want_in(question),)), scene)), (question, scene))

    def test_counts(self):
        for scene, question, answer in self.made("count", 4):
            want = want_in(question)
            n = max(k for k in range(4) if holds(Claim((want,) * k), scene))
            self.assertEqual(answer, there_are(n), (question, scene))

    def test_relations(self):
        words = {"left": "left of", "right": "right of", "above": "above|over", "below": "below|under|beneath"}
        for scene, question, answer in self.made("related", 5):
            for name, form in words.items():
                parts = re.split(rf"\b(?:{form})\b", question)
                if len(parts) == 2:
                    claim = Claim((want_in(parts[0]), want_in(parts[1])), ((0, name, 1),))
                    self.assertEqual(answer, yes(holds(claim, scene)), (question, scene))

    def test_attributes(self):
        for family, pool in (("colour", COLOUR_NAMES), ("shape", SHAPES), ("size", SIZES)):
            for scene, question, answer in self.made(family, 6):
                said = [name for name in pool if re.search(rf"\b{name}(es|s)?\b", answer)]
                if answer.startswith("It is"):
                    self.assertEqual(len(said), 1, answer)
                    self.assertTrue(any(getattr(o, family) == said[0] for o in scene.objects), (question, answer, scene))

    def test_json_to_plain_questions(self):
        rng = Random(13)
        for _ in range(300):
            scene = sample_scene(rng)
            made = records.pointed(scene, rng)
            if made:
                said = json.loads(made[1])
                colour = said.get("color", said.get("colour"))
                self.assertTrue(said)
                self.assertTrue(colour is None or any(o.colour == colour for o in scene.objects), (made, scene))
                self.assertTrue(all(made[1][a] in '{[,"}]' for a, _ in made[2]), made)

    def test_two_pictures(self):
        rng, seen = Random(7), set()
        for _ in range(800):
            a, b = pairs.sample_pair(rng, sample_scene)
            family, question, answer = pairs.ask(a, b, rng)
            seen.add(family)
            if family == "in both":
                claim = Claim((want_in(question.lower()),))
                self.assertEqual(answer, yes(holds(claim, a) and holds(claim, b)), (question, a, b))
            if family == "total":
                self.assertIn(NUMBERS[len(a.objects) + len(b.objects)], answer)
            if family == "differences" and answer.startswith("Only"):
                parts = {p.split()[2]: parse(p) for p in re.findall(r"Only the (?:first|second)[^.]*\.", answer)}
                first, second = parts.get("first", parse("")), parts.get("second", parse(""))
                self.assertEqual((first, second), (named(a) - named(b), named(b) - named(a)))
        self.assertEqual(seen, set(pairs.FAMILIES))

    def test_training_keeps_to_its_side(self):
        rng = Random(8)
        for _ in range(200):
            for scene in sample(rng).scenes:
                self.assertEqual(side(scene), "train")


class Optimiser(unittest.TestCase):
    def test_singular_values_become_about_one(self):
        values = torch.linalg.svdvals(evened(torch.randn(3, 24, 64, generator=torch.Generator().manual_seed(1))))
        self.assertGreater(values.min().item(), 0.6)
        self.assertLess(values.max().item(), 1.3)


class Sequences(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tokenizer = build()

    def test_any_text_comes_back(self):
        self.assertEqual(self.tokenizer.get_vocab_size(), VOCABULARY)
        for text in ("What's in this image?", " héllo  wörld\n\t", "日本語 😀", "{\"a\": [1, 2]}\x00"):
            ids = self.tokenizer.encode(text).ids
            self.assertEqual(self.tokenizer.decode(ids, skip_special_tokens=False), text)

    def test_training_text_is_the_template_s(self):
        chat = [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": "x"}}]},
            {"role": "assistant", "content": "A ring."}, {"role": "user", "content": "Why?"}, {"role": "assistant", "content": [{"type": "text", "text": "No."}]},
        ]
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        said = environment.from_string(TEMPLATE.read_text()).render(messages=chat, add_generation_prompt=True)
        turns = [Turn("What is it?", "A ring.", ""), Turn("Why?", "No.", "")]
        trained = head(1, "Be kind.") + "".join(
            ("\nUser: " if k else "") + f"{t.question}{END}\nAssistant: {t.answer}{END}" for k, t in enumerate(turns))
        self.assertEqual(said, trained + "\nAssistant:")

    def test_branches_do_not_see_each_other_and_only_answers_are_learnt(self):
        rng = Random(9)
        made = sample(rng)
        row = pack(self.tokenizer, made, 288, rng)
        ids, places, target, branch = (torch.tensor(x) for x in (row.ids, row.places, row.target, row.branch))
        seen = looks(branch[None])[0, 0]
        for i in (150, 200, 250):
            self.assertEqual(set(branch[seen[i]].tolist()) - {0}, {branch[i].item()} - {0})
            self.assertEqual(places[i].item(), seen[i].sum().item() - 1)
        for i in (target != IGNORED).nonzero()[:, 0].tolist():
            self.assertEqual(target[i], ids[i + 1])
            self.assertEqual(branch[i], branch[i + 1])

    def test_pictures_are_in_the_order_of_the_text(self):
        rng = Random(10)
        image = SPECIALS.index("<image>")
        for _ in range(60):
            made = sample(rng)
            row = pack(self.tokenizer, made, 288, rng)
            self.assertEqual(row.ids.count(image), 16 * len(row.shown), made.kind)

    def test_answers_begin_after_the_references_of_their_question(self):
        rng = Random(12)
        for _ in range(40):
            row = pack(self.tokenizer, sample(rng), 288, rng)
            for spot, first, last in row.roles:
                self.assertLessEqual(first, last)
                self.assertLess(last, spot)
                self.assertEqual({row.branch[i] for i in (first, last, spot)}, {row.branch[spot]})
                self.assertNotEqual(row.target[spot], IGNORED)

    def test_a_place_belongs_to_the_noun_before_it(self):
        text = "Is the circle in the top left above the small red square?"
        self.assertEqual(outer(references(text)), (text.index(" above"), text.index("?")))
        self.assertEqual(outer(references("Where is the ring?")), (17, 17))

    def test_what_is_copied_stands_where_the_mark_points(self):
        rng, same = Random(11), []
        while len(same) < 2000:
            row = pack(self.tokenizer, sample(rng, mix=Mix(tools=1.0)), 400, rng)
            for spot, source in row.copies:
                self.assertLess(source, spot)
                wanted, there = (self.tokenizer.decode([i]).strip().lower() for i in (row.ids[spot + 1], row.ids[source]))
                same.append(wanted in there or there in wanted)
        self.assertGreater(sum(same) / len(same), 0.9)


if __name__ == "__main__":
    unittest.main()
