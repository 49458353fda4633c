#!/bin/sh
# Makes shapes-clip from nothing: sh recipe/make_clip.sh [BUILD_FOLDER], from the folder that holds recipe/.
# Each stage ends in weights.pt, is resumed where it was interrupted, and takes under an hour on two CPU cores.
set -eu
build=${1:-build/clip}
# Idle threads must not spin: with two cores they would take time from the one that draws the next batch.
export OMP_WAIT_POLICY=PASSIVE

# Stage 1: half of the patches, a high learning rate, strong training-only heads.
python -m recipe.clip.train --work "$build/stage1" --seed 1 --steps 5000 --batch 128 --lr 1.2e-3 --floor 0.3 --kept 32

# Stage 2: whole pictures.
python -m recipe.clip.train --work "$build/stage2" --from "$build/stage1/weights.pt" --seed 2 --steps 1200 --batch 128 --lr 4e-4 --warmup 100 --heads 0.3

python -m recipe.clip.publish --weights "$build/stage2/weights.pt" --to "$build/shapes-clip"
python -m recipe.clip.evaluate --model "$build/shapes-clip"
