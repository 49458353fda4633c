//! The same pixels as Pillow, for every kind of file: goldens made by make_goldens.py.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use sensorium_media::{Alpha, Decoder, Filter, Pixels, ResizeMode, ResizeSpec};

/// One line of goldens.tsv.
struct Golden {
    source: String,
    spec: ResizeSpec,
    expected: String,
    max: u8,
    mean: f64,
}

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn read(name: &str) -> Bytes {
    std::fs::read(dir().join(name)).unwrap().into()
}

fn filter(name: &str) -> Filter {
    match name {
        "nearest" => Filter::Nearest,
        "box" => Filter::Box,
        "bilinear" => Filter::Bilinear,
        "hamming" => Filter::Hamming,
        "bicubic" => Filter::Bicubic,
        "lanczos" => Filter::Lanczos,
        other => panic!("no filter {other}"),
    }
}

fn goldens() -> Vec<Golden> {
    let table = std::fs::read_to_string(dir().join("goldens.tsv")).unwrap();
    let parse = |line: &str| {
        let cells: Vec<&str> = line.split('\t').collect();
        let mode = match cells[1] {
            "squash" => ResizeMode::Squash,
            "fit" => ResizeMode::Fit,
            _ => ResizeMode::ShortestEdgeCrop {
                shortest_edge: cells[2].parse().unwrap(),
            },
        };
        let (width, height) = (cells[3].parse().unwrap(), cells[4].parse().unwrap());
        Golden {
            source: cells[0].to_owned(),
            spec: ResizeSpec {
                width,
                height,
                mode,
                filter: filter(cells[5]),
            },
            expected: cells[6].to_owned(),
            max: cells[7].parse().unwrap(),
            mean: cells[8].parse().unwrap(),
        }
    };
    table.lines().map(parse).collect()
}

fn decode(name: &str, alpha: Alpha) -> sensorium_media::Decoded {
    Decoder::default().check(read(name)).unwrap().decode(alpha).unwrap()
}

#[test]
fn pixels_are_pillows() {
    let mut failures = Vec::new();
    let goldens = goldens();
    assert!(goldens.len() >= 50);
    for golden in goldens {
        let got: Pixels = decode(&golden.source, Alpha::Drop).resize(&golden.spec).unwrap();
        let want = decode(&golden.expected, Alpha::Drop).into_pixels();
        assert_eq!(
            (got.width, got.height),
            (want.width, want.height),
            "{}",
            golden.expected
        );
        let differences = got.rgb.iter().zip(&want.rgb).map(|(a, b)| a.abs_diff(*b));
        let max = differences.clone().max().unwrap();
        let mean = differences.map(f64::from).sum::<f64>() / want.rgb.len() as f64;
        println!("{:<50} max {max} mean {mean:.4}", golden.expected);
        if max > golden.max || mean > golden.mean {
            failures.push(format!("{}: max {max} mean {mean:.4}", golden.expected));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_plane_of_alpha_is_sized_like_the_pixels() {
    let spec = ResizeSpec {
        width: 20,
        height: 10,
        mode: ResizeMode::Squash,
        filter: Filter::Bicubic,
    };
    for name in [
        "rgba.png",
        "grey-alpha.png",
        "palette4-trns.png",
        "lossy-alpha.webp",
        "transparent.gif",
    ] {
        let sized = decode(name, Alpha::Keep).resize(&spec).unwrap();
        let alpha = sized.alpha.unwrap();
        assert_eq!((alpha.len(), sized.rgb.len()), (200, 600), "{name}");
        assert!(alpha.iter().any(|&a| a < 255), "{name}");
        assert_eq!(decode(name, Alpha::Drop).into_pixels().alpha, None);
    }
    assert_eq!(decode("rgb.png", Alpha::Keep).into_pixels().alpha, None);
}
