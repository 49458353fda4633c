"""Words one object: "a large red circle", "something red", "the violet star", "blue shape"."""

from dataclasses import dataclass
from random import Random

from .claims import Want
from .scene import Object
from .vocabulary import COLOUR_SYNONYMS, SHAPE_SYNONYMS, SIZE_SYNONYMS

SYNONYM_SHARE = 0.06


@dataclass(frozen=True)
class Noun:
    """A phrase and what it asks of the object."""

    text: str
    want: Want


def noun(obj: Object, rng: Random, article: str = "a", sized: bool = False, parts: str = "colour shape") -> Noun:
    """Words `obj`.

    article: "a" (or "an"), "the", or "" for none. parts: which names to give, of "colour shape",
    "colour", "shape"; what is not named becomes "shape", "object", "thing".
    """
    words = []
    if sized:
        words.append(_word(obj.size, SIZE_SYNONYMS, rng))
    if "colour" in parts:
        words.append(_word(obj.colour, COLOUR_SYNONYMS, rng))
    words.append(_word(obj.shape, SHAPE_SYNONYMS, rng) if "shape" in parts else rng.choice(("shape", "object", "thing")))
    want = Want(
        colour=obj.colour if "colour" in parts else None,
        shape=obj.shape if "shape" in parts else None,
        size=obj.size if sized else None,
    )
    return Noun(with_article(" ".join(words), article), want)


def with_article(words: str, article: str) -> str:
    """`words` after its article, "a" turning into "an" before a vowel."""
    if article == "a":
        article = "an" if words[0] in "aeiou" else "a"
    return f"{article} {words}".strip()


def _word(name: str, synonyms: dict[str, tuple[str, ...]], rng: Random) -> str:
    if name in synonyms and rng.random() < SYNONYM_SHARE:
        return rng.choice(synonyms[name])
    return name
