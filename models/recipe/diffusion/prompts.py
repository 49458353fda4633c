"""What is said of a scene when it is to be drawn: every object is named, for what a prompt leaves out should not appear."""

from random import Random

from ..vlm.ask import Reference
from ..vlm.gaze import references
from ..world.captions import complete_caption, caption
from ..world.claims import Claim
from ..world.scene import Scene
from ..world.wording import Caption

PARTIAL = ("naming", "naming", "bare_colour", "bare_shape", "stated", "located", "grounded", "counted")  # for lone objects
PARTIAL_SHARE = 0.35
COUNTED_SHARE = 0.03  # "two shapes", of scenes of several
GROUND_SHARE = 0.2  # "... on a dark background"


def prompt(scene: Scene, rng: Random) -> Caption:
    """A caption that names all of the scene's objects, or says no more than how many they are."""
    lone = len(scene.objects) == 1
    if lone and rng.random() < PARTIAL_SHARE:
        return _partial(scene, rng, rng.choice(PARTIAL))
    if not lone and rng.random() < COUNTED_SHARE:
        return caption(scene, rng, "counted")
    made = complete_caption(scene, rng)
    tone = scene.background.tone
    if tone == "mid" or rng.random() >= GROUND_SHARE:
        return made
    text = made.text.removesuffix(".")
    claim = Claim(made.claim.wants, made.claim.relations, made.claim.count, tone)
    return Caption(f"{text} on a {tone} background" + made.text[len(text):], claim)


def named_at(text: str, scene: Scene) -> list[tuple[int, int]]:
    """(where the words end, which object) for all words that mean one object of the scene alone."""
    marks = []
    for end, want in references(text):
        meant = [i for i, o in enumerate(scene.objects) if Reference("", want).fits(o)]
        if len(meant) == 1:
            marks.append((end, meant[0]))
    return marks


def _partial(scene: Scene, rng: Random, phrasing: str) -> Caption:
    try:
        return caption(scene, rng, phrasing)
    except ValueError:  # the background has no name
        return complete_caption(scene, rng)
