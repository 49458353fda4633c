"""Sets for the ranking test: distinct scenes, each with a caption that is true of it and of no other in the set."""

from random import Random

from ..world.captions import Caption, complete_caption
from ..world.claims import truth_matrix
from ..world.scene import Scene, sample_scene
from ..world.split import side


def ranking_set(rng: Random, of: str, size: int = 100) -> list[tuple[Scene, Caption]]:
    """`size` scenes of split side `of`, mixed 1:2:2 from one, two and three objects, each with a
    complete caption; candidates that would make any caption true of two scenes are drawn again."""
    chosen: list[tuple[Scene, Caption]] = []
    while len(chosen) < size:
        scene = sample_side(rng, of, rng.choices((1, 2, 3), (1, 2, 2))[0])
        said = complete_caption(scene, rng)
        if chosen:
            scenes, captions = zip(*chosen)
            if truth_matrix([said.claim], list(scenes)).any() or truth_matrix([c.claim for c in captions], [scene]).any():
                continue
        chosen.append((scene, said))
    return chosen


def sample_side(rng: Random, of: str, count: int | None = None) -> Scene:
    """A random scene on one side of the split."""
    while True:
        scene = sample_scene(rng, count)
        if side(scene) == of:
            return scene
