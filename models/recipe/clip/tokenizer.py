"""Makes the tokenizer's files: CLIP's format, a vocabulary of 1,024 learned from captions and plain English.

Ids in CLIP's order: 256 bytes, the same 256 ending a word, merges, `<|startoftext|>`,
`<|endoftext|>`. The end marker has the highest id, because loaders find the pooled position either
by that id or as the argmax of the ids; it also pads, as in CLIP.
"""

import json
from collections import Counter
from pathlib import Path
from random import Random

from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors
from tokenizers.models import BPE

from ..world.captions import caption
from ..world.scene import sample_scene
from ..world.split import side
from .bpe import END, byte_alphabet, learn_merges

VOCABULARY = 1024
MAX_LENGTH = 64
START, STOP = "<|startoftext|>", "<|endoftext|>"
CAPTIONS = 6000
# CLIP's own pattern: contractions, letters, single digits, other signs.
PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""

# A sprinkle of everyday words, so that text from outside the world breaks into pieces, not single bytes.
ENGLISH = """
the of and to in is you that it he was for on are as with his they at be this have from or one had by word but not
what all were we when your can said there use an each which she do how their if will up other about out many then
them these so some her would make like him into time has look two more write go see number no way could people my
than first water been call who oil its now find long down day did get come made may part cat dog house tree car
person man woman child face hand eye animal bird fish flower mountain river sea sky sun moon city street building
room table chair window door food apple bread bottle cup book phone computer picture photo image drawing painting
black white gray brown dark light bright small large round long short old new good great little big high low left
right near far inside outside between behind front side same different beautiful running walking standing sitting
show find describe question answer true false yes please where why
"""


def build(seed: int = 0) -> tuple[Tokenizer, dict[str, int], list[tuple[str, str]]]:
    """The tokenizer, its vocabulary (token -> id) and its merges in order."""
    normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    splitter = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PATTERN), behavior="removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ])
    words = Counter()
    for text in _corpus(seed):
        words.update(word for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)))
    # A word's weight is capped: a common word needs its merges no more than a rare one.
    words = Counter({word: min(n, 50) for word, n in words.items()})
    alphabet = byte_alphabet()
    merges = learn_merges(words, VOCABULARY - 2 * len(alphabet) - 2)
    tokens = [*alphabet, *(c + END for c in alphabet), *(a + b for a, b in merges), START, STOP]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(BPE(
        vocab=vocabulary, merges=merges, unk_token=STOP, continuing_subword_prefix="", end_of_word_suffix=END, fuse_unk=False,
    ))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, splitter
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.RobertaProcessing(
        (STOP, vocabulary[STOP]), (START, vocabulary[START]), trim_offsets=False, add_prefix_space=False,
    )
    tokenizer.add_special_tokens([START, STOP])
    return tokenizer, vocabulary, merges


def write(folder: Path, seed: int = 0) -> Tokenizer:
    """Writes tokenizer.json, vocab.json, merges.txt and the two small configs into `folder`."""
    tokenizer, vocabulary, merges = build(seed)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"bos_token": START, "eos_token": STOP, "pad_token": STOP, "unk_token": STOP}
    _json(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _json(folder / "special_tokens_map.json", special)
    _json(folder / "tokenizer_config.json", {
        **special, "tokenizer_class": "CLIPTokenizer", "model_max_length": MAX_LENGTH, "do_lower_case": True,
        "add_prefix_space": False, "clean_up_tokenization_spaces": False, "errors": "replace",
    })
    return tokenizer


def _corpus(seed: int):
    rng, made = Random(seed), 0
    while made < CAPTIONS:
        scene = sample_scene(rng)
        if side(scene) == "train":
            made += 1
            yield caption(scene, rng).text
    yield from [ENGLISH] * 3


def _json(path: Path, value) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=None if len(value) > 100 else 2) + "\n", encoding="utf-8")
