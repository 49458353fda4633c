"""Byte-pair encoding as CLIP has it: words end in `</w>`, bytes are written as printable characters.

After Sennrich et al. 2016 (https://arxiv.org/abs/1508.07909) and OpenAI's `simple_tokenizer.py`.
"""

from collections import Counter

END = "</w>"


def byte_alphabet() -> list[str]:
    """The 256 printable characters that stand for the bytes 0..255, in CLIP's order."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    spare = [b for b in range(256) if b not in printable]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(len(spare))]


def learn_merges(words: Counter, count: int) -> list[tuple[str, str]]:
    """The `count` most useful merges for `words` (text in the byte alphabet -> frequency)."""
    split = {word: (*word[:-1], word[-1] + END) for word in words}
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for word, pieces in split.items():
            for pair in zip(pieces, pieces[1:]):
                pairs[pair] += words[word]
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))  # ties: alphabetical, so that runs agree
        merges.append(best)
        split = {word: _merged(pieces, best) for word, pieces in split.items()}
    return merges


def _merged(pieces: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged, i = [], 0
    while i < len(pieces):
        if pieces[i:i + 2] == pair:
            merged.append(pieces[i] + pieces[i + 1])
            i += 2
        else:
            merged.append(pieces[i])
            i += 1
    return tuple(merged)
