#!/bin/sh
# Makes shapes-vlm: sh recipe/make_vlm.sh [BUILD_FOLDER], from the folder that holds recipe/ and shapes-clip/, whose eye it begins with.
# Each stage ends in weights.pt, is resumed where it was interrupted, and takes under an hour on two CPU cores.
set -eu
build=${1:-build/vlm}
# Idle threads must not spin: with two cores they would take time from the one that draws the next batch.
export OMP_WAIT_POLICY=PASSIVE

# The vocabulary, learned once from the recipe's own dialogues.
mkdir -p "$build"
python -m recipe.vlm.tokenizer --to "$build/tokenizer.json"

# Stage 1: a high learning rate, and heads that keep the eye to its task while the text model learns to speak.
python -m recipe.vlm.train --work "$build/stage1" --tokenizer "$build/tokenizer.json" --seed 1 --steps 1700 --lr 1.2e-3 --floor 0.3

# Stage 2: down to nothing.
python -m recipe.vlm.train --work "$build/stage2" --tokenizer "$build/tokenizer.json" --from "$build/stage1/weights.pt" --seed 2 --steps 1200 --lr 4e-4 --warmup 50

python -m recipe.vlm.publish --weights "$build/stage2/weights.pt" --tokenizer "$build/tokenizer.json" --to "$build/shapes-vlm"
python -m recipe.vlm.evaluate --model "$build/shapes-vlm" --json "$build/shapes-vlm/accuracy.json"
