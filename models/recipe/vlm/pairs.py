"""Questions about two pictures, by family; each maker gives (question, answer) or None."""

from dataclasses import replace
from random import Random

from ..world.nouns import with_article
from ..world.scene import Scene, sample_background
from .answers import there_are, yes
from .ask import dressed, random_want, reference, want_of
from .describe import caption, in_order, joined, named, pair, plural
from .questions import ask as ask_one

FIRST, SECOND, BOTH, NEITHER = "The first picture.", "The second picture.", "Both pictures.", "Neither picture."


def more(a, b, rng):
    """"Which picture has more shapes?" "The first picture."."""
    words = rng.choice(("more", "more", "fewer"))
    luck = rng.random()
    if luck < 0.6:
        what, n, m = rng.choice(("shapes", "shapes", "objects", "things")), len(a.objects), len(b.objects)
    else:
        said = reference(random_want(rng, rng.choice((a, b)), rng.choice(("shape", "colour", "size"))), rng)
        *front, last = said.text.split()
        what, n, m = " ".join([*front, plural(last)]), len(said.among(a)), len(said.among(b))
    asked = rng.choice((f"Which picture has {words} {what}?", f"Which picture has {words} {what}?", f"Which picture shows {words} {what}?",
                        f"Which of the two pictures has {words} {what}?", f"Are there {words} {what} in the first or the second picture?"))
    if n == m:
        return asked, "They have the same number."
    return asked, FIRST if (n > m) == (words == "more") else SECOND


def in_both(a, b, rng):
    """"Is there a red circle in both pictures?" "No."."""
    said = _said(a, b, rng)
    what = with_article(said.text, "a")
    asked = rng.choice((f"Is there {what} in both pictures?", f"Is there {what} in both pictures?", f"Do both pictures show {what}?",
                        f"Do both pictures have {what}?", f"Do the two pictures both contain {what}?"))
    return asked, yes(bool(said.among(a) and said.among(b)))


def which(a, b, rng):
    """"Which picture shows a red circle?" "The second picture."."""
    said = _said(a, b, rng)
    what = with_article(said.text, "a")
    asked = rng.choice((f"Which picture shows {what}?", f"Which picture has {what}?", f"Which picture contains {what}?",
                        f"In which picture is there {what}?", f"Where is there {what}, in the first or in the second picture?"))
    n, m = said.among(a), said.among(b)
    return asked, BOTH if n and m else FIRST if n else SECOND if m else NEITHER


def in_one(a, b, rng):
    """A question about one of the two: "How many shapes are in the second picture?"."""
    number = rng.randrange(2)
    scene, name = (a, b)[number], ("first", "second")[number]
    where = rng.choice(("In the {} picture: ", "In the {} picture, ", "Look at the {} picture. ", "{} picture: ", "About the {} picture: ")).format(name)
    luck = rng.random()
    if luck < 0.45:
        asked = rng.choice(("Describe the {} picture.", "Describe the {} picture.", "What is in the {} picture?", "What does the {} picture show?",
                            "What do you see in the {} picture?", "Caption the {} picture.", "What's in the {} picture?")).format(name)
        return asked, caption(scene)
    if luck < 0.6:
        asked = rng.choice(("How many {} are in the {} picture?", "How many {} are there in the {} picture?", "How many {} does the {} picture show?"))
        return asked.format(rng.choice(("shapes", "objects", "things")), name), there_are(len(scene.objects))
    family = rng.choice(("colour", "shape", "where", "exists", "count", "is so", "at place", "size"))
    made = ask_one(scene, rng, family)
    return made and ((where[0].upper() + where[1:]) + made[1][0].lower() + made[1][1:], made[2])


def both(a, b, rng):
    """"What is in these pictures?"."""
    asked = rng.choice(("What is in these pictures?", "What's in these pictures?", "Describe both pictures.", "Describe the pictures.", "What do the pictures show?", "Describe the two pictures.",
                        "What are in these pictures?", "What do you see in the pictures?", "Describe these pictures.", "What do you see?", "What do these pictures show?", "Caption both pictures.", "Describe each picture.",
                        "What are in these pictures? Is there any difference between them?", "Describe both pictures in one sentence each."))
    first, second = caption(a), caption(b)
    return asked, f"The first picture shows {first[0].lower()}{first[1:]} The second picture shows {second[0].lower()}{second[1:]}"


def total(a, b, rng):
    """"How many shapes are there in both pictures together?" "There are four."."""
    asked = rng.choice(("How many {} are there in both pictures together?", "How many {} are there in total?", "How many {} are in the two pictures together?",
                        "How many {} do the pictures show in total?"))
    return asked.format(rng.choice(("shapes", "objects"))), there_are(len(a.objects) + len(b.objects))


def differences(a, b, rng):
    """"What differs?" - which shapes only one of the two has."""
    n, m = named(a), named(b)
    luck = rng.random()
    same = n == m
    if luck < 0.3:
        return rng.choice(("Do both pictures show the same shapes?", "Do the pictures show the same shapes?", "Are there the same shapes in both pictures?",
                           "Do the two pictures contain the same shapes?")), yes(same)
    asked = rng.choice(("What differs?", "What is different?", "What is the difference between the pictures?", "What is the difference between these two pictures?",
                        "What are the differences between these pictures?", "How do the pictures differ?", "Compare the pictures.", "Compare the two pictures.", "Compare these two pictures.",
                        "What's different between the two pictures?", "What's the difference?", "Which shapes differ?", "Is there any difference between them?", "Spot the difference."))
    if same:
        return asked, "They show the same shapes."
    said = []
    for name, scene in (("first", a), ("second", b)):
        left, only = dict(n & m), []
        for o in in_order(scene.objects):
            if left.get(o.pair, 0):
                left[o.pair] -= 1
            else:
                only.append(pair(o))
        if only:
            said.append(f"Only the {name} picture shows {joined(only)}.")
    return asked, " ".join(said)


HARD = ("more", "in both", "which", "differences")  # learnt last
# family -> (maker, how often)
FAMILIES = {"more": (more, 3), "in both": (in_both, 3), "which": (which, 3), "in one": (in_one, 4), "both": (both, 1.5),
            "total": (total, 1), "differences": (differences, 1.5)}


def ask(a: Scene, b: Scene, rng: Random, family: str | None = None, hard: float = 1.0) -> tuple[str, str, str] | None:
    """(family, question, answer) about two pictures; of the named family, None where that does not apply; else the hard ones `hard` times as often."""
    if family:
        made = FAMILIES[family][0](a, b, rng)
        if made is None:
            return None
        return family, dressed(made[0], rng), made[1]
    names, weights = tuple(FAMILIES), [w * (hard if name in HARD else 1) for name, (_, w) in FAMILIES.items()]
    while True:
        made = ask(a, b, rng, rng.choices(names, weights)[0])
        if made:
            return made


def sample_pair(rng: Random, draw) -> tuple[Scene, Scene]:
    """Two scenes from `draw`, a third of them with the same objects, moved or not, or some of them."""
    a = draw(rng)
    luck = rng.random()
    if luck < 0.15:
        return a, replace(a, background=sample_background(rng, a.objects))
    return a, draw(rng)


def _said(a, b, rng):
    scene = rng.choice((a, b))
    parts = rng.choice(("colour shape", "colour shape", "shape", "colour"))
    return reference(want_of(rng.choice(scene.objects), rng, parts) if rng.random() < 0.75 else random_want(rng, scene, parts), rng)
