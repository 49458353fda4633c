#!/usr/bin/env bash
# Puts libtorch where tch looks for it: DIR/lib and DIR/include, out of the wheels that PyPI has.
#   plugins/torch/libtorch.sh DIR cpu     what a CPU needs of the wheel (0.5 GB on Linux)
#   plugins/torch/libtorch.sh DIR cuda    the whole wheel with the NVIDIA libraries that it asks for (5 GB)
# Needs python3 with pip. A DIR that is complete is left alone; a half-made one is made anew.
set -euo pipefail

VERSION=2.11.0          # the one that tch 0.24 is made for
CUDA=13.0               # what that wheel's libtorch_cpu.so is linked against on Linux

dir=${1:?usage: libtorch.sh DIR cpu|cuda}
variant=${2:?usage: libtorch.sh DIR cpu|cuda}
python=${PYTHON:-python3}
ready="$dir/ready-$VERSION-$variant"
[ -e "$ready" ] && exit 0

if [ -d "$dir" ] && [ ! -e "$dir/made-by-libtorch.sh" ]; then
  echo "$dir is there, but was not made by this script: remove it, or point LIBTORCH at it" >&2
  exit 1
fi
rm -rf "$dir"
mkdir -p "$dir/wheels"
touch "$dir/made-by-libtorch.sh"
pip() { "$python" -m pip --quiet --disable-pip-version-check "$@"; }

echo "fetching libtorch $VERSION ($variant) into $dir" >&2
case $variant in
  cpu)
    wheels=("torch==$VERSION")
    # libtorch_cpu.so of the Linux x86-64 wheel names these two as needed, though a CPU never calls them.
    [ "$(uname -sm)" = "Linux x86_64" ] && wheels+=("nvidia-cuda-runtime==$CUDA.*" "nvidia-cuda-cupti==$CUDA.*")
    pip download --no-deps --only-binary :all: --dest "$dir/wheels" "${wheels[@]}"
    "$python" - "$dir" <<'PYTHON'
import fnmatch, pathlib, shutil, sys, zipfile

# What links and runs on a CPU; the rest of torch/lib is for Python and for GPUs.
KEEP = ["libtorch_cpu.*", "libc10.*", "libgomp*", "libomp*", "libarm_compute*", "libopenblas*", "libgfortran*",
        "libcudart.so.*", "libcupti.so.*"]

root = pathlib.Path(sys.argv[1])
for wheel in sorted((root / "wheels").glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            path = pathlib.PurePosixPath(info.filename)
            if path.is_relative_to("torch/include"):
                target = root / path.relative_to("torch")
            elif path.parent.name in ("lib", "torch.libs") and any(fnmatch.fnmatch(path.name, k) for k in KEEP):
                target = root / "lib" / path.name
            elif path.parts[0].endswith(".dist-info") and path.name.upper().startswith(("LICENSE", "NOTICE")):
                target = root / "licenses" / "-".join([path.parts[0].split("-")[0], *path.parts[1:]])
            else:
                continue
            if info.is_dir():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(info) as source, open(target, "wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
PYTHON
    # The wheel's own libtorch.so asks for CUDA's; tch links "torch", so give it a name for the CPU's.
    if [ -e "$dir/lib/libtorch_cpu.so" ]; then
      echo 'INPUT(libtorch_cpu.so)' >"$dir/lib/libtorch.so"
    else
      ln -sf libtorch_cpu.dylib "$dir/lib/libtorch.dylib"
    fi
    ;;
  cuda)
    pip install --only-binary :all: --target "$dir/site" "torch==$VERSION"
    # The libraries find NVIDIA's by paths relative to where they lie: they stay there.
    ln -s site/torch/lib "$dir/lib"
    ln -s site/torch/include "$dir/include"
    # libtorch_cuda.so names NVIDIA's libraries without a directory to the linker.
    mkdir -p "$dir/nvidia"
    find "$dir/site/nvidia" -name 'lib*.so*' -exec ln -sfr -t "$dir/nvidia" {} +
    ;;
  *)
    echo "the variant is cpu or cuda, not $variant" >&2
    exit 1
    ;;
esac
rm -rf "$dir/wheels"
echo "$VERSION" >"$dir/build-version"
touch "$ready"
