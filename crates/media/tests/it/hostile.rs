//! Files made to hurt: bombs, cuts, lies and formats that look like images.

use bytes::Bytes;
use sensorium_media::{Alpha, Decoder};

/// The code that a file is refused with, or "ok".
fn verdict(file: &[u8]) -> &'static str {
    let checked = Decoder::default().check(Bytes::copy_from_slice(file));
    checked
        .and_then(|checked| checked.decode(Alpha::Drop))
        .map_or_else(|error| error.code(), |_| "ok")
}

/// A PNG's first chunks for a size, with no picture behind them.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut ihdr = b"IHDR".to_vec();
    ihdr.extend(width.to_be_bytes());
    ihdr.extend(height.to_be_bytes());
    ihdr.extend([8, 6, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    file.extend(&ihdr);
    file.extend(crc32(&ihdr).to_be_bytes());
    file
}

fn crc32(data: &[u8]) -> u32 {
    !data.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                (crc >> 1) ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

fn gif(canvas: (u16, u16), frame: (u16, u16)) -> Vec<u8> {
    let mut file = b"GIF89a".to_vec();
    file.extend(canvas.0.to_le_bytes());
    file.extend(canvas.1.to_le_bytes());
    file.extend([0x80, 0, 0, 0, 0, 0, 255, 255, 255]);
    file.extend([0x2c, 0, 0, 0, 0]);
    file.extend(frame.0.to_le_bytes());
    file.extend(frame.1.to_le_bytes());
    file.extend([0, 2, 2, 0x44, 0x01, 0, 0x3b]);
    file
}

/// An extended WebP whose canvas is as large as the format can say.
fn webp_canvas(width: u32, height: u32) -> Vec<u8> {
    let mut body = b"WEBPVP8X\x0a\0\0\0\x10\0\0\0".to_vec();
    body.extend(&(width - 1).to_le_bytes()[..3]);
    body.extend(&(height - 1).to_le_bytes()[..3]);
    body.extend(b"VP8L\x08\0\0\0\x2f\xff\xff\xff\x0f\0\0\0");
    let mut file = b"RIFF".to_vec();
    file.extend((body.len() as u32).to_le_bytes());
    file.extend(body);
    file
}

fn jpeg_header(width: u16, height: u16) -> Vec<u8> {
    let mut file = vec![0xff, 0xd8, 0xff, 0xc0, 0, 11, 8];
    file.extend(height.to_be_bytes());
    file.extend(width.to_be_bytes());
    file.extend([1, 1, 0x11, 0]);
    file.extend([0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
    file
}

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(name),
    )
    .unwrap()
}

#[test]
fn bombs_are_refused_by_their_header() {
    let rows = [
        ("png", png_header(60_000, 60_000)),
        ("png, long", png_header(17_000, 1)),
        ("png, just over", png_header(8_000, 4_001)),
        ("gif", gif((65_535, 65_535), (1, 1))),
        ("webp", webp_canvas(16_384, 16_384)),
        ("jpeg", jpeg_header(65_500, 65_500)),
    ];
    for (name, file) in rows {
        assert!(file.len() < 100);
        let refused = Decoder::default().check(file.into()).unwrap_err();
        assert_eq!(refused.code(), "image_too_large", "{name}: {refused}");
    }
}

#[test]
fn a_gif_frame_larger_than_its_canvas_gets_no_memory() {
    assert_eq!(verdict(&gif((4, 4), (65_535, 65_535))), "invalid_image");
    assert_eq!(verdict(&gif((1, 1), (1, 1))), "ok");
}

#[test]
fn other_formats_are_named_unsupported() {
    for file in [
        &b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..],
        b"<?xml version='1.0'?><svg/>",
        b"II*\0\x08\0\0\0",
        b"MM\0*\0\0\0\x08",
        b"\0\0\0\x20ftypavif\0\0\0\0",
        b"\0\0\0\x20ftypheic\0\0\0\0",
        b"BM\x46\0\0\0",
        b"%PDF-1.7",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"\x00\x00\x01\x00\x01\x00",
        b"\xff\x0a\x00",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"GIF86a",
        b"<html>not found</html>",
        b"\0",
    ] {
        assert_eq!(
            verdict(file),
            "unsupported_image_format",
            "{:?}",
            String::from_utf8_lossy(file)
        );
    }
    assert_eq!(verdict(b""), "invalid_image");
}

#[test]
fn cut_files_are_invalid_wherever_they_are_cut() {
    for name in [
        "rgb.png",
        "420.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "lossy.webp",
        "lossless-alpha.webp",
        "two-frames.gif",
    ] {
        let file = golden(name);
        // A GIF's second frame is never read.
        let parts: &[usize] = if name.ends_with("gif") {
            &[1, 10, 30]
        } else {
            &[1, 10, 30, 50, 70, 85]
        };
        for part in parts {
            let cut = file.len() * part / 100;
            let got = verdict(&file[..cut.max(12)]);
            assert_eq!(got, "invalid_image", "{name} cut at {part} %");
        }
    }
}

#[test]
fn damaged_files_never_panic_and_never_grow() {
    let mut random = 12_345u32;
    let mut next = move || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        random >> 8
    };
    for name in [
        "palette4-trns.png",
        "420.jpg",
        "progressive.jpg",
        "cmyk.jpg",
        "lossy-alpha.webp",
        "transparent.gif",
    ] {
        let file = golden(name);
        for _ in 0..60 {
            let mut damaged = file.clone();
            for _ in 0..1 + next() % 4 {
                // Headers more often than picture data.
                let reach = if next() % 2 == 0 {
                    200.min(file.len())
                } else {
                    file.len()
                };
                damaged[next() as usize % reach] = next() as u8;
            }
            let got = std::panic::catch_unwind(|| verdict(&damaged));
            // A decoder's panic is caught by the pool; this says which files to report upstream.
            assert!(got.is_ok(), "{name} panics a decoder");
        }
    }
}

#[test]
fn harmless_oddities_are_no_damage() {
    let file = golden("420.jpg");
    let rows: [(&str, Vec<u8>); 5] = [
        ("trailing bytes", [&file[..], b"appended by a camera"].concat()),
        ("a second picture behind the first", [&file[..], &file[..]].concat()),
        ("no end marker", file[..file.len() - 2].to_vec()),
        (
            "fill bytes before a marker",
            [&file[..2], b"\xff\xff\xff", &file[2..]].concat(),
        ),
        ("a comment", [&file[..2], b"\xff\xfe\0\x06hey!", &file[2..]].concat()),
    ];
    for (name, odd) in rows {
        assert_eq!(verdict(&odd), "ok", "{name}");
    }
}
