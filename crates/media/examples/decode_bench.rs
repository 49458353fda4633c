//! What one image costs, stage by stage: `cargo run --release -p sensorium-media --example decode_bench [FILE] [EDGE]`.
//! Without a file it makes a 640x480 JPEG. Prints milliseconds of one core for each stage, best of several rounds.

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use sensorium_media::{Alpha, Decoder, Filter, MediaError, ResizeMode, ResizeSpec};

const ROUNDS: usize = 15;
const PER_ROUND: usize = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let file = args.next().map_or_else(synthetic, |path| Ok(std::fs::read(path)?))?;
    let edge = args.next().map_or(Ok(224), |edge| edge.parse())?;
    let text = STANDARD.encode(&file);
    let file = Bytes::from(file);
    let spec = ResizeSpec {
        width: edge,
        height: edge,
        mode: ResizeMode::ShortestEdgeCrop { shortest_edge: edge },
        filter: Filter::Bicubic,
    };
    // One thread: the resampler asks the pool it runs in how many there are.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    pool.install(|| -> Result<(), MediaError> {
        let decoder = Decoder::default();
        let checked = decoder.check(file.clone())?;
        let decoded = checked.decode(Alpha::Drop)?;
        let header = checked.header();
        println!(
            "{:?} {}x{}, {} bytes, to {edge}x{edge}",
            header.format,
            header.width,
            header.height,
            file.len()
        );
        let base64 = time("base64", || STANDARD.decode(&text).map(black_box).is_ok());
        let check = time("header", || decoder.check(file.clone()).map(black_box).is_ok());
        let decode = time("decode", || checked.decode(Alpha::Drop).map(black_box).is_ok());
        let resize = time("resize", || decoded.resize(&spec).map(black_box).is_ok());
        println!(
            "{:<8} {:.3} ms",
            "sum",
            (base64 + check + decode + resize).as_secs_f64() * 1e3
        );
        Ok(())
    })?;
    Ok(())
}

fn time(name: &str, mut work: impl FnMut() -> bool) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..PER_ROUND {
            assert!(work(), "{name} failed");
        }
        best = best.min(start.elapsed() / PER_ROUND as u32);
    }
    println!("{name:<8} {:.3} ms", best.as_secs_f64() * 1e3);
    best
}

/// Gradients, edges and grain: about as many bytes as a photograph of this size.
fn synthetic() -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let mut noise = 1u32;
    let picture = image::RgbImage::from_fn(640, 480, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (noise >> 28) as u8;
        let inside = (x as i32 - 320).pow(2) + (y as i32 - 240).pow(2) < 150 * 150;
        let stripe = ((x / 24 + y / 40) % 2) as u8 * 40;
        let base = if inside {
            [200, 60, 70]
        } else {
            [(x / 4) as u8, (y / 3) as u8, 120]
        };
        image::Rgb(base.map(|value: u8| value.saturating_add(grain).saturating_sub(stripe)))
    });
    let mut file = Vec::new();
    image::codecs::jpeg::JpegEncoder::new_with_quality(&mut file, 90).encode_image(&picture)?;
    Ok(file)
}
