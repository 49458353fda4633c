#!/usr/bin/env bash
# Runs every benchmark side by side with its peer, or the ones named: bench/run.sh host clip serve parity chat diffusion.
set -euo pipefail
cd "$(dirname "$0")/.."
venv="${SENSORIUM_BENCH_VENV:-bench/.venv}"
if [ ! -x "$venv/bin/python" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check -r bench/requirements.txt
fi
export SENSORIUM_BIN="${SENSORIUM_BIN:-${CARGO_TARGET_DIR:-target}/release}"
[ $# -gt 0 ] || set -- host clip serve parity chat diffusion
for name in "$@"; do
  echo "== $name"
  "$venv/bin/python" "bench/$name/bench.py"
done
