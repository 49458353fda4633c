"""Gives tiktoken its cl100k_base vocabulary without a download: the crate `tiktoken-rs` carries the file."""

from __future__ import annotations

import hashlib
import json
import pathlib
import shutil
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
# tiktoken names a cached file after the SHA-1 of the address that it would have fetched it from.
ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"


def fill_cache(folder: pathlib.Path) -> None:
    """Puts the vocabulary into a folder for TIKTOKEN_CACHE_DIR."""
    output = subprocess.check_output(
        ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host()], cwd=ROOT
    )
    crate = next(p for p in json.loads(output)["packages"] if p["name"] == "tiktoken-rs")
    source = pathlib.Path(crate["manifest_path"]).parent / "assets" / "cl100k_base.tiktoken"
    shutil.copy(source, folder / hashlib.sha1(ADDRESS.encode()).hexdigest())


def host() -> str:
    """The target triple of this machine: other platforms' crates may not be here."""
    version = subprocess.check_output(["rustc", "--version", "--verbose"], text=True)
    return next(line.removeprefix("host: ") for line in version.splitlines() if line.startswith("host: "))
