"""How answers are worded."""

from ..world.nouns import with_article
from ..world.scene import Scene
from .ask import Reference
from .describe import NUMBERS, in_order, joined, pair, place, plural, sentence


def yes(so: bool) -> str:
    return "Yes." if so else "No."


def there_are(n: int) -> str:
    """"There is one.", "There are none."."""
    return f"There {'is' if n == 1 else 'are'} {NUMBERS[n]}."


def things(there) -> str:
    """"A red circle and a blue square.", "Nothing."."""
    return sentence(joined(pair(o) for o in in_order(there))) if there else "Nothing."


def attribute(scene: Scene, said: Reference, name: str) -> str:
    """"It is red.", "They are red and blue.", "There is no circle."."""
    objects = in_order(said.among(scene))
    if not objects:
        w = said.want
        return f"There is no {' '.join(x for x in (w.size, w.colour, w.shape or 'shape') if x)}."
    values = [place(o) if name == "place" else getattr(o, name) for o in objects]
    if len(values) == 1:
        return f"It is {with_article(values[0], 'a') if name == 'shape' else values[0]}."
    values = list(dict.fromkeys(values))
    if name == "shape":
        values = [plural(v) if len(objects) > len(values) and len(values) == 1 else with_article(v, "a") for v in values]
    return f"They are {joined(values)}."
