"""Makes `shapes-vlm/`: transformers' greedy replies of the bundled shapes-vlm to conversations about held-out scenes.

    python make_shapes_vlm.py                     for models/shapes-vlm
    python make_shapes_vlm.py --model DIR         for another folder

Needs torch, transformers 5, pillow and numpy. Pictures are 64x64, the size that the model reads, tiled into one PNG; what is
asked comes from the model's recipe. Run it again whenever the model's weights change.
"""

import argparse
import json
import sys
import zlib
from pathlib import Path
from random import Random

import numpy as np
import torch
import transformers as tf
from PIL import Image

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent.parent / "models"
sys.path.insert(0, str(MODELS))

from recipe.clip.ranking import sample_side  # noqa: E402
from recipe.vlm import dialogue  # noqa: E402
from recipe.world.render import render  # noqa: E402

FOLDER = HERE / "shapes-vlm"
CONVERSATIONS = 120  # each of which shows a picture, at least
SIDE, COLUMNS = 64, 12
TOKENS = 160
CLEAR = 0.005  # least distance of the two likeliest tokens' log probabilities, so that rounding changes no reply
PLAIN_SCENES = ("solid", "gradient")  # of which a PNG is small


def draw(rng):
    """A held-out scene without noise."""
    while True:
        scene = sample_side(rng, "held-out")
        if scene.background.noise == 0 and scene.background.kind in PLAIN_SCENES:
            return scene


def conversation(rng, first):
    """Messages whose parts are words and numbers of pictures, from `first` on; and the scenes that these show."""
    made = dialogue.sample(rng, draw)
    turns = made.branch(rng)[: rng.choice((1, 1, 2, 3))]
    messages = []
    system = made.head.partition("System: ")[2].partition(dialogue.END)[0]
    if system:
        messages.append({"role": "system", "parts": [system]})
    used = set()
    for k, turn in enumerate(turns):
        shown = (made.shown if k == 0 else ()) + turn.pictures
        used.update(shown)
        parts = [first + number for number in shown] + [turn.question]
        if rng.random() < 0.3:
            parts = parts[-1:] + parts[:-1]
        messages.append({"role": "user", "parts": parts})
        if k + 1 < len(turns):
            messages.append({"role": "assistant", "parts": [turn.answer]})
    return (messages, made.scenes) if used == set(range(len(made.scenes))) and used else None


@torch.inference_mode()
def reply(model, processor, messages, pictures):
    rendered = [
        {"role": m["role"], "content": [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image"} for p in m["parts"]]}
        for m in messages
    ]
    shown = [Image.fromarray(pictures[p]) for m in messages for p in m["parts"] if isinstance(p, int)]
    text = processor.apply_chat_template(rendered, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=text, images=[shown], return_tensors="pt")
    made = model.generate(**inputs, max_new_tokens=TOKENS, do_sample=False, output_logits=True, return_dict_in_generate=True)
    prompt = inputs["input_ids"].shape[1]
    ids = made.sequences[0, prompt:].tolist()
    steps = torch.log_softmax(torch.cat(made.logits).float(), -1)
    top = steps.topk(2).values
    said = [(processor.decode([id]), round(step[id].item(), 5)) for id, step in zip(ids, steps) if id not in processor.tokenizer.all_special_ids]
    return {
        "prompt_tokens": prompt, "image_tokens": int((inputs["input_ids"] == model.config.image_token_id).sum()),
        "completion_tokens": len(ids), "text": processor.decode(ids, skip_special_tokens=True),
        "tokens": [token for token, _ in said], "logprobs": [value for _, value in said],
    }, float((top[:, 0] - top[:, 1]).min())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODELS / "shapes-vlm")
    folder = parser.parse_args().model
    model = tf.Idefics3ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    processor = tf.AutoProcessor.from_pretrained(folder)
    rng, pictures, prompts = Random("golden"), [], []
    while len(prompts) < CONVERSATIONS:
        asked = conversation(rng, len(pictures))
        if asked is None:
            continue
        messages, scenes = asked
        shown = pictures + [render(scene, SIDE) for scene in scenes]
        made, margin = reply(model, processor, messages, shown)
        if margin > CLEAR and made["completion_tokens"] < TOKENS:
            pictures = shown
            prompts.append({"messages": messages, **made})
    rows = -(-len(pictures) // COLUMNS)
    sheet = np.zeros((rows * SIDE, COLUMNS * SIDE, 3), dtype=np.uint8)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, COLUMNS)
        sheet[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = picture
    FOLDER.mkdir(exist_ok=True)
    Image.fromarray(sheet).save(FOLDER / "pictures.png", optimize=True)
    lines = ",\n".join(json.dumps(prompt, ensure_ascii=False) for prompt in prompts)
    weights = zlib.adler32((folder / "model.safetensors").read_bytes())
    (FOLDER / "expected.json").write_text(
        f'{{"made_with": "transformers {tf.__version__}, torch {torch.__version__}", "weights": {weights}, "side": {SIDE}, '
        f'"columns": {COLUMNS}, "max_tokens": {TOKENS}, "ends": {model.generation_config.eos_token_id}, "prompts": [\n{lines}\n]}}\n'
    )
    print(f"{len(prompts)} conversations, {len(pictures)} pictures, {sum(p['completion_tokens'] for p in prompts)} tokens")


if __name__ == "__main__":
    main()
