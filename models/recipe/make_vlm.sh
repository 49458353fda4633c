#!/bin/sh
# Makes shapes-vlm: sh recipe/make_vlm.sh [BUILD_FOLDER], from the folder that holds recipe/ and shapes-clip/, whose eye it begins with.
# Each stage ends in weights.pt, is resumed where it was interrupted, and takes under an hour on two CPU cores.
set -eu
build=${1:-build/vlm}
# Idle threads must not spin: with two cores they would take time from the one that draws the next batch.
export OMP_WAIT_POLICY=PASSIVE
# Memory that a step frees stays with the process for the next one.
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000

train() {
    python -m recipe.vlm.train --tokenizer "$build/tokenizer.json" "$@"
}

# The vocabulary, learned once from the recipe's own dialogues.
mkdir -p "$build"
python -m recipe.vlm.tokenizer --to "$build/tokenizer.json"

# Stage 1: to speak, and to describe. Questions are still answered by guessing afterwards.
train --work "$build/stage1" --seed 1 --steps 1700 --lr 1.2e-3 --floor 0.3

# Stage 2: mostly questions; heads are shown where to look for what a question's words refer to and what tools' arguments
# repeat, and name what an image token shows and a reference means; short answers weigh more.
questions="--muon --warmup 20 --gaze 0.5 --reading 0.1 --even --average 0.995"
train --work "$build/stage2" --from "$build/stage1/weights.pt" --seed 3 --steps 600 --hold 600 --lr 1.5e-3 --batch 24 --length 224 \
    $questions --warmup 50 --copying 0.2 --tools 0.06 --json 0.03 --describing 0.25

# Stage 3: heads are also shown, from where an answer begins, the question's references and what the answer names.
questions="$questions --asking 0.3"
train --work "$build/stage3" --from "$build/stage2/weights.pt" --seed 4 --steps 1100 --hold 1100 --lr 1.5e-3 --batch 24 --length 224 \
    $questions --copying 0.2 --tools 0.06 --json 0.03 --describing 0.25 --hard 2

# Stages 4 to 6: more of tools, JSON and two pictures; then more of what is still wrong; then down to a tenth, with plain
# questions to be answered under the keys of a schema.
questions="$questions --batch 22 --length 256 --lr 1e-3 --copying 0.3 --tools 0.15"
train --work "$build/stage4" --from "$build/stage3/weights.pt" --seed 5 --steps 600 --hold 600 \
    $questions --json 0.06 --describing 0.4 --hard 2 --two 0.28
train --work "$build/stage5" --from "$build/stage4/weights.pt" --seed 6 --steps 3800 --hold 900 --stop 1000 --floor 0.02 \
    $questions --json 0.08 --describing 0.4 --hard 1.5 --hardest 2.5 --two 0.26
train --work "$build/stage6" --from "$build/stage5/weights.pt" --seed 7 --steps 2600 --stop 2100 --floor 0.02 \
    $questions --json 0.1 --pointed 0.06 --describing 0.45 --hard 1.5 --hardest 2.5 --two 0.26

python -m recipe.vlm.publish --weights "$build/stage6/weights.pt" --tokenizer "$build/tokenizer.json" --to "$build/shapes-vlm"
python -m recipe.vlm.evaluate --model "$build/shapes-vlm" --json "$build/shapes-vlm/accuracy.json"
