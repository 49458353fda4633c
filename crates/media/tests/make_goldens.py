"""Writes tests/golden/: small pictures of every kind that is decoded, and what Pillow makes of each.

    python tests/make_goldens.py        (needs Pillow and numpy; seeded, so that a second run changes nothing)

The reference is exif_transpose, composite over white, convert to RGB, resize, centre crop, as transformers' slow image
processors do it. goldens.tsv lists: source, mode (crop, squash, fit), shortest edge, width, height, filter, expected,
largest difference allowed, largest mean difference allowed.
"""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

OUT = Path(__file__).parent / "golden"
FILTERS = {
    "nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR,
    "hamming": Image.HAMMING, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS,
}
EXACT, NEAR, LOSSY = (1, 0.02), (1, 0.02), (4, 0.5)


def scene(width, height, seed=1):
    """Gradients, hard edges, fine lines and grain: what makes rounding and upsampling differ."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    base = np.stack([x / width * 255, y / height * 255, (np.sin(x / 9) * np.cos(y / 7) + 1) * 110], axis=-1)
    base += rng.normal(0, 5, base.shape)
    image = Image.fromarray(base.clip(0, 255).astype(np.uint8), "RGB")
    draw = ImageDraw.Draw(image)
    draw.ellipse([width * 0.1, height * 0.15, width * 0.45, height * 0.7], fill=(220, 30, 40))
    draw.rectangle([width * 0.55, height * 0.4, width * 0.9, height * 0.9], fill=(20, 60, 200))
    draw.polygon([(width * 0.5, 2), (width * 0.75, height * 0.35), (width * 0.3, height * 0.35)], fill=(250, 240, 20))
    for i in range(0, width, 12):
        draw.line([(i, height - 1), (i + 8, height * 0.8)], fill=(0, 0, 0) if i % 24 else (255, 255, 255))
    return image


def with_alpha(image):
    y, x = np.mgrid[0:image.height, 0:image.width]
    alpha = ((x * 2 + y * 3) % 256).astype(np.uint8)
    alpha[: image.height // 4] = 255
    alpha[-image.height // 5 :] = 0
    image = image.convert("RGBA")
    image.putalpha(Image.fromarray(alpha, "L"))
    return image


def png16(samples, color_type):
    """A 16-bit PNG, which Pillow can't write in colour; `samples` is (rows, columns, channels) of uint16."""
    height, width, _ = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    header = struct.pack(">IIBBBBB", width, height, 16, color_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def encoded(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()


def oriented(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif.tobytes()


def sources():
    rgb, rng = scene(96, 72), np.random.default_rng(7)
    yield "rgb.png", encoded(rgb, format="PNG")
    yield "tall.png", encoded(scene(50, 91, 2), format="PNG")
    yield "tallest.png", encoded(scene(40, 130, 8), format="PNG")
    yield "rgba.png", encoded(with_alpha(rgb), format="PNG")
    yield "grey.png", encoded(rgb.convert("L"), format="PNG")
    yield "grey-alpha.png", encoded(with_alpha(rgb).convert("LA"), format="PNG")
    yield "bilevel.png", encoded(rgb.convert("1"), format="PNG")
    yield "palette.png", encoded(rgb.quantize(32), format="PNG", bits=8)
    yield "palette4-trns.png", encoded(rgb.quantize(16), format="PNG", transparency=bytes(range(0, 256, 16)))
    yield "rgb-trns.png", encoded(rgb, format="PNG", transparency=(220, 30, 40))
    wide = np.asarray(rgb).astype(np.uint16) * 256 + rng.integers(0, 256, (72, 96, 3), dtype=np.uint16)
    yield "rgb16.png", png16(wide[10:60, 20:80], 2)
    alpha = np.asarray(with_alpha(rgb))[..., 3:].astype(np.uint16) * 257
    yield "rgba16.png", png16(np.concatenate([wide, alpha], axis=-1)[20:, 30:70], 6)
    yield "grey16.png", png16(wide[:60, :60, :1], 0)
    yield "exif6.png", encoded(rgb, format="PNG", exif=oriented(6))
    photo = scene(160, 120, 3)
    yield "420.jpg", encoded(photo, format="JPEG", quality=85)
    yield "422.jpg", encoded(photo, format="JPEG", quality=85, subsampling=1)
    yield "444.jpg", encoded(photo, format="JPEG", quality=90, subsampling=0)
    yield "progressive.jpg", encoded(photo, format="JPEG", quality=85, progressive=True, optimize=True)
    yield "restart.jpg", encoded(scene(77, 53, 4), format="JPEG", quality=80, restart_marker_rows=1)
    yield "small.jpg", encoded(scene(15, 17, 9), format="JPEG", quality=85)
    yield "pixel.jpg", encoded(scene(1, 1, 10), format="JPEG", quality=85)
    yield "grey.jpg", encoded(photo.convert("L"), format="JPEG", quality=85)
    cmyk = encoded(photo.convert("CMYK"), format="JPEG", quality=85)
    yield "cmyk.jpg", cmyk
    adobe = cmyk.index(b"Adobe")
    # The same numbers, declared as YCCK: odd colours, but every decoder must find the same ones.
    yield "ycck.jpg", cmyk[: adobe + 11] + b"\x02" + cmyk[adobe + 12 :]
    for value in (3, 5, 6, 8):
        yield f"exif{value}.jpg", encoded(photo, format="JPEG", quality=80, exif=oriented(value))
    yield "lossy.webp", encoded(photo, format="WEBP", quality=80)
    yield "lossy-alpha.webp", encoded(with_alpha(photo), format="WEBP", quality=80)
    yield "lossless-alpha.webp", encoded(with_alpha(rgb), format="WEBP", lossless=True)
    yield "exif8.webp", encoded(photo, format="WEBP", quality=70, exif=oriented(8))
    frames = [scene(80, 60, 5).quantize(32), scene(80, 60, 6).quantize(32)]
    yield "two-frames.gif", encoded(frames[0], format="GIF", save_all=True, append_images=frames[1:], duration=100)
    yield "transparent.gif", encoded(frames[0], format="GIF", transparency=3)


def reference(data, mode, edge, width, height, resample):
    image = Image.open(io.BytesIO(data))
    image.seek(0)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):
        # No agreed way to RGB; the high byte, as for colour.
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8), "L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
    image = image.convert("RGB")
    if mode == "squash":
        return image.resize((width, height), resample)
    if mode == "fit":
        image.thumbnail((width, height), resample, reducing_gap=None)
        return image
    short, long = sorted(image.size)
    scaled = int(edge * long / short)
    image = image.resize((edge, scaled) if image.width <= image.height else (scaled, edge), resample)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def tolerance(name):
    if name.endswith((".png", ".gif", "lossless-alpha.webp")):
        return EXACT
    return NEAR if name.endswith(".webp") else LOSSY


def main():
    OUT.mkdir(exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    rows = []
    def golden(name, data, mode, edge, width, height, filter_name):
        expected = f"{name}.{mode}-{edge}-{width}x{height}-{filter_name}.png"
        reference(data, mode, edge, width, height, FILTERS[filter_name]).save(OUT / expected, optimize=True)
        rows.append([name, mode, edge, width, height, filter_name, expected, *tolerance(name)])
    for name, data in sources():
        assert len(data) <= 20_000, (name, len(data))
        (OUT / name).write_bytes(data)
        golden(name, data, "crop", 32, 32, 32, "bicubic")
        if name in ("tallest.png", "exif6.jpg", "rgba.png", "progressive.jpg", "grey.jpg"):
            golden(name, data, "fit", 0, 50, 37, "lanczos")
        if name == "tallest.png":
            golden(name, data, "crop", 24, 24, 24, "nearest")
        if name in ("rgb.png", "tall.png", "exif6.png"):
            for filter_name in FILTERS:
                golden(name, data, "squash", 0, 30, 22, filter_name)
            for filter_name in ("nearest", "bicubic", "lanczos"):
                golden(name, data, "fit", 0, 40, 40, filter_name)
            golden(name, data, "fit", 0, 33, 90, "bilinear")
            golden(name, data, "fit", 0, 200, 100, "bicubic")
            golden(name, data, "crop", 28, 24, 20, "lanczos")
            golden(name, data, "crop", 20, 32, 24, "bilinear")
            golden(name, data, "squash", 0, 120, 100, "bicubic")
    lines = ["\t".join(map(str, row)) for row in rows]
    (OUT / "goldens.tsv").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
