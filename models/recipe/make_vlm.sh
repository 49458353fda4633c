#!/bin/sh
# Makes shapes-vlm: sh recipe/make_vlm.sh [BUILD_FOLDER], from the folder that holds recipe/ and shapes-clip/, whose eye it begins with.
# Each stage ends in weights.pt, is resumed where it was interrupted, and takes under an hour on two CPU cores.
set -eu
build=${1:-build/vlm}
# Idle threads must not spin: with two cores they would take time from the one that draws the next batch.
export OMP_WAIT_POLICY=PASSIVE

train() {
    python -m recipe.vlm.train --tokenizer "$build/tokenizer.json" "$@"
}

# The vocabulary, learned once from the recipe's own dialogues.
mkdir -p "$build"
python -m recipe.vlm.tokenizer --to "$build/tokenizer.json"

# Stage 1: to speak, and to describe. Questions are still answered by guessing afterwards.
train --work "$build/stage1" --seed 1 --steps 1700 --lr 1.2e-3 --floor 0.3

# Stage 2: two heads are shown where to look for what a question's words refer to; short answers weigh more.
train --work "$build/stage2" --from "$build/stage1/weights.pt" --seed 3 --steps 1300 --stop 200 --lr 1e-3 --warmup 50 \
    --gaze 0.5 --even --tools 0 --average 0.995

# Stages 3 to 6: mostly questions; then also heads that name what an image token shows and a reference means; then the
# hard families more often; at last tools again, with two heads shown what to repeat, and down to nothing.
questions="--batch 16 --warmup 20 --gaze 0.5 --even --average 0.995"
few="--tools 0 --json 0.015 --describing 0.3"
train --work "$build/stage3" --from "$build/stage2/weights.pt" --seed 4 --steps 1200 --stop 800 --lr 1e-3 $questions $few
train --work "$build/stage4" --from "$build/stage3/weights.pt" --seed 5 --steps 1300 --stop 850 --lr 1e-3 $questions $few --reading 0.2
train --work "$build/stage5" --from "$build/stage4/weights.pt" --seed 6 --steps 1600 --stop 550 --lr 8e-4 $questions $few --reading 0.2 --hard 2.5
train --work "$build/stage6" --from "$build/stage5/weights.pt" --seed 7 --steps 1400 --lr 7e-4 $questions --reading 0.2 --hard 2.5 \
    --copying 0.3 --tools 0.12 --json 0.025 --describing 0.35

python -m recipe.vlm.publish --weights "$build/stage6/weights.pt" --tokenizer "$build/tokenizer.json" --to "$build/shapes-vlm"
python -m recipe.vlm.evaluate --model "$build/shapes-vlm" --json "$build/shapes-vlm/accuracy.json"
