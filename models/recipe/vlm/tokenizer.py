"""Makes the tokenizer, `python -m recipe.vlm.tokenizer --to FILE`: byte-level BPE as GPT-2 has it, a vocabulary of
1,024 learned from the recipe's own dialogues.

Ids: the special tokens, the 256 bytes, then merges. Any text can be encoded, and decoding gives it back.
"""

import argparse
import json
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE

from ..clip.tokenizer import ENGLISH

VOCABULARY = 1024
PAD, START, IMAGE, FAKE, GLOBAL, END = SPECIALS = (
    "<|endoftext|>", "<|im_start|>", "<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>",
)
TEMPLATE = Path(__file__).parent / "chat_template.jinja"
DIALOGUES = 6000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, required=True)
    args = parser.parse_args()
    if not args.to.exists():  # stages that were begun with it go on with it
        build().save(str(args.to))


def build(seed: int = 0) -> Tokenizer:
    """The tokenizer, the same for the same seed."""
    from .dialogue import corpus  # which needs the names above

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIALS), show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    lines = [*corpus(Random(seed), DIALOGUES), *(f" {word}" for word in ENGLISH.split() for _ in range(40))]
    tokenizer.train_from_iterator(lines, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIALS])
    assert tokenizer.get_vocab_size() == VOCABULARY
    return tokenizer


def load(file: Path | None) -> Tokenizer:
    """The tokenizer that the stages share, from its file; made anew without one."""
    return Tokenizer.from_file(str(file)) if file else build()


def write(folder: Path, tokenizer: Tokenizer) -> None:
    """Writes tokenizer.json, the chat template and the small configs into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    special = {"bos_token": START, "eos_token": END, "pad_token": PAD, "unk_token": PAD}
    extra = [FAKE, IMAGE, END]
    _json(folder / "special_tokens_map.json", {**special, "additional_special_tokens": extra})
    _json(folder / "tokenizer_config.json", {
        **special, "additional_special_tokens": extra, "tokenizer_class": "PreTrainedTokenizerFast",
        "processor_class": "Idefics3Processor", "model_max_length": 4096, "add_prefix_space": False,
        "clean_up_tokenization_spaces": False, "padding_side": "left",
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(t)): {
                "content": t, "lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True,
            } for t in SPECIALS
        },
    })
    (folder / "chat_template.jinja").write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")


def _json(path: Path, value) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
