#!/bin/sh
# Makes shapes-diffusion: sh recipe/make_diffusion.sh [BUILD_FOLDER], from the folder that holds recipe/, shapes-clip/ and shapes-vlm/.
# Each stage ends in weights.pt, is resumed where it was interrupted, and takes under an hour on two CPU cores.
set -eu
build=${1:-build/diffusion}
# Idle threads must not spin: with two cores they would take time from the one that draws the next batch.
export OMP_WAIT_POLICY=PASSIVE
# glibc keeps freed memory for the next operation, rather than fetching it from the system anew each time.
export MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=2147483648

# The VAE, on windows around objects (32 dB after the first run), then on whole pictures (39 dB); its latents get their
# scale and never change again.
python -m recipe.diffusion.train_vae --work "$build/vae1" --seed 1 --steps 900 --lr 3e-3
python -m recipe.diffusion.train_vae --work "$build/vae2" --from "$build/vae1/weights.pt" --seed 2 --steps 1500 --batch 32 --lr 2e-3
python -m recipe.diffusion.train_vae --work "$build/vae3" --from "$build/vae2/weights.pt" --seed 3 --steps 300 --side 128 --batch 8 --lr 5e-4
[ -f "$build/vae.pt" ] || python -m recipe.diffusion.settle --from "$build/vae3/weights.pt" --to "$build/vae.pt"

# Scenes as latents, once for all stages of the UNet.
python -m recipe.diffusion.latents --vae "$build/vae.pt" --to "$build/latents" --seed 1 --shards 24

# The UNet: mostly lone objects first, then more of two and three.
train() {
    python -m recipe.diffusion.train --latents "$build/latents" --scenes 1 --shards 24 "$@"
}
train --work "$build/unet1" --seed 1 --steps 4000 --mix 0.5,0.35,0.15 --lr 2e-3 --floor 0.3
train --work "$build/unet2" --from "$build/unet1/weights.pt" --seed 2 --steps 3400 --mix 0.3,0.42,0.28 --lr 1.5e-3 --floor 0.02 --gaze 0.07 --naming 0.07 --average 0.998

# The decoder again, on latents with some noise, as a UNet leaves them.
python -m recipe.diffusion.train_vae --work "$build/decoder" --from "$build/vae.pt" --seed 4 --steps 800 --side 128 --batch 8 --lr 1e-3 --decoder

python -m recipe.diffusion.publish --unet "$build/unet2/weights.pt" --vae "$build/decoder/weights.pt" --to "$build/shapes-diffusion"
python -m recipe.diffusion.evaluate --model "$build/shapes-diffusion" --json "$build/shapes-diffusion/accuracy.json" --sheet "$build/shapes-diffusion/sheet.png"
