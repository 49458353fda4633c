//! The facade: every kind of source, order, deadlines, and memory that is reserved before it is spent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::support::{Behaviour, Server, eventually, ok};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use sensorium_media::{Filter, Format, Media, MediaConfig, MediaError, ResizeMode, ResizeSpec, Source};
use tokio::time::Instant;

const SPEC: ResizeSpec = ResizeSpec {
    width: 32,
    height: 32,
    mode: ResizeMode::ShortestEdgeCrop { shortest_edge: 32 },
    filter: Filter::Bicubic,
};

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden")
            .join(name),
    )
    .unwrap()
}

fn media(change: impl FnOnce(&mut MediaConfig)) -> Media {
    let mut config = MediaConfig {
        threads: 2,
        ..MediaConfig::default()
    };
    change(&mut config);
    Media::new(config).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// A black PNG of any size: a few hundred bytes a megapixel.
fn png(width: u32, height: u32) -> Source {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let row = width.div_ceil(8) as usize;
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&vec![0; row * height as usize])
        .unwrap();
    Source::Bytes(file.into())
}

#[tokio::test]
async fn the_same_file_by_every_way_gives_the_same_pixels() {
    let file = golden("420.jpg");
    let server = Server::start([("/420.jpg", ok(&file))]).await;
    let media = media(|config| config.fetch = server.config());
    let sources = vec![
        Source::Bytes(Bytes::from(file.clone())),
        Source::parse(server.url("/420.jpg")).unwrap(),
        Source::parse(format!("data:image/png;base64,{}", STANDARD.encode(&file))).unwrap(),
        Source::parse(STANDARD.encode(&file)).unwrap(),
        Source::parse(URL_SAFE_NO_PAD.encode(&file)).unwrap(),
    ];
    let loaded = media.load_all(sources, Some(&SPEC), soon()).await.unwrap();
    assert_eq!(loaded.len(), 5);
    for prepared in &loaded {
        assert_eq!(prepared.pixels, loaded[0].pixels);
        assert_eq!(
            (prepared.pixels.width, prepared.pixels.height, prepared.pixels.rgb.len()),
            (32, 32, 3072)
        );
        let header = prepared.header;
        assert_eq!((header.format, header.width, header.height), (Format::Jpeg, 160, 120));
    }
}

#[tokio::test]
async fn full_size_pixels_come_upright_and_alpha_on_demand() {
    let media = media(|_| {});
    let turned = media
        .load(Source::Bytes(golden("exif6.jpg").into()), None, soon())
        .await
        .unwrap();
    assert_eq!((turned.pixels.width, turned.pixels.height), (120, 160));
    let source = Source::Bytes(golden("rgba.png").into());
    assert_eq!(
        media.load(source.clone(), None, soon()).await.unwrap().pixels.alpha,
        None
    );
    let kept = media.load_with_alpha(source, None, soon()).await.unwrap();
    assert_eq!(kept.pixels.alpha.map(|plane| plane.len()), Some(96 * 72));
}

#[tokio::test]
async fn order_is_kept_and_an_error_says_which_image() {
    let media = media(|_| {});
    let sizes = [(900, 700), (30, 20), (400, 300), (2, 2), (64, 64)];
    let sources: Vec<Source> = sizes.iter().map(|&(width, height)| png(width, height)).collect();
    let loaded = media.load_all(sources.clone(), Some(&SPEC), soon()).await.unwrap();
    let got: Vec<_> = loaded
        .iter()
        .map(|prepared| (prepared.header.width, prepared.header.height))
        .collect();
    assert_eq!(got, sizes);

    let mut bad = sources;
    bad[3] = Source::Bytes(Bytes::from_static(b"<svg/>"));
    let error = media.load_all(bad, Some(&SPEC), soon()).await.unwrap_err();
    assert_eq!((error.index, error.error.code()), (3, "unsupported_image_format"));
    assert_eq!(media.load_all(Vec::new(), Some(&SPEC), soon()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn inline_files_have_a_limit_too() {
    let media = media(|config| config.max_inline_bytes = 100);
    let file = vec![b'x'; 101];
    for source in [
        Source::Bytes(file.clone().into()),
        Source::Base64(STANDARD.encode(&file)),
        Source::DataUri(format!("data:;base64,{}", STANDARD.encode(&file))),
        Source::DataUri(format!("data:,{}", "x".repeat(101))),
    ] {
        let error = media.load(source, Some(&SPEC), soon()).await.unwrap_err();
        assert_eq!(error, MediaError::TooManyBytes { max_bytes: 100 });
        assert_eq!(error.code(), "image_too_large");
    }
}

#[tokio::test]
async fn many_bombs_at_once_are_refused_by_their_headers() {
    let media = Arc::new(media(|_| {}));
    let tasks: Vec<_> = (0..32)
        .map(|_| {
            let media = media.clone();
            tokio::spawn(async move {
                media
                    .load(png(40_000, 1), Some(&SPEC), soon())
                    .await
                    .unwrap_err()
                    .code()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "image_too_large");
    }
}

/// Room for two pictures of 500x400 being decoded, at 12 bytes a pixel.
fn narrow(config: &mut MediaConfig) {
    config.decoder.max_pixels = 500 * 400;
    config.max_decoding_bytes = 1;
    config.threads = 4;
}

#[tokio::test]
async fn pictures_wait_for_memory_instead_of_piling_up() {
    let media = media(narrow);
    let sources = vec![png(500, 400); 24];
    assert_eq!(media.load_all(sources, Some(&SPEC), soon()).await.unwrap().len(), 24);
}

#[tokio::test]
async fn full_size_pixels_stay_reserved_until_dropped() {
    let media = media(narrow);
    let held = media.load_all(vec![png(500, 400); 3], None, soon()).await.unwrap();
    let more = media.load_all(vec![png(500, 400); 2], None, soon()).await.unwrap();
    // 3 of the 4.8 MB are held; one more would take 2.4 to decode.
    let short = Instant::now() + Duration::from_millis(100);
    let refused = media.load(png(500, 400), Some(&SPEC), short).await.unwrap_err();
    assert_eq!(refused, MediaError::Deadline);
    drop((held, more));
    assert!(media.load(png(500, 400), Some(&SPEC), soon()).await.is_ok());

    let refused = media.load_all(vec![png(500, 400); 9], None, soon()).await.unwrap_err();
    assert_eq!(refused.error, MediaError::TooMuchTogether);
}

#[tokio::test]
async fn sized_pixels_of_a_request_are_reserved_together() {
    let two = 2 * 32 * 32 * 3;
    let media = media(|config| config.max_sized_bytes = two);
    let held = media.reserve_sized(2, &SPEC, soon()).await.unwrap();
    let short = Instant::now() + Duration::from_millis(100);
    let late = media.reserve_sized(1, &SPEC, short).await.unwrap_err();
    assert_eq!(late, MediaError::Deadline);
    let never = media.reserve_sized(3, &SPEC, soon()).await.unwrap_err();
    assert_eq!(never, MediaError::TooMuchTogether);
    drop(held);
    assert!(media.reserve_sized(2, &SPEC, soon()).await.is_ok());
}

#[tokio::test]
async fn one_request_leaves_fetches_to_others() {
    let server = Server::start([("/hang", Behaviour::Hang(Vec::new())), ("/ok", ok(&golden("420.jpg")))]).await;
    let media = Arc::new(media(|config| config.fetch = server.config()));
    let hanging = Source::parse(server.url("/hang")).unwrap();
    let greedy = tokio::spawn({
        let media = media.clone();
        async move { media.load_all(vec![hanging; 100], Some(&SPEC), soon()).await }
    });
    eventually("the greedy request fetches", || {
        server.log.accepted.load(Ordering::SeqCst) >= 8
    })
    .await;
    let modest = Source::parse(server.url("/ok")).unwrap();
    assert!(media.load(modest, Some(&SPEC), soon()).await.is_ok());
    greedy.abort();
}

#[tokio::test]
async fn the_deadline_ends_a_fetch() {
    let server = Server::start([("/", Behaviour::Hang(Vec::new()))]).await;
    let media = media(|config| config.fetch = server.config());
    let source = Source::parse(server.url("/")).unwrap();
    let deadline = Instant::now() + Duration::from_millis(100);
    assert_eq!(
        media.load(source, Some(&SPEC), deadline).await.unwrap_err(),
        MediaError::Deadline
    );
    eventually("the connection is closed", || {
        let log = &server.log;
        log.finished.load(Ordering::SeqCst) == log.accepted.load(Ordering::SeqCst)
    })
    .await;
}

#[test]
fn messages_name_no_internals() {
    let blocked = MediaError::UrlBlocked.to_string();
    assert!(!blocked.contains("127.") && !blocked.contains("169."), "{blocked}");
    for url in ["file:///etc/passwd", "ftp://10.0.0.1/x", "http://10.0.0.1\\@x/"] {
        assert_eq!(Source::parse(url).unwrap_err().to_string(), blocked);
    }
}
