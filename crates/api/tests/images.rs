//! Images over HTTP: made from words and from images, as files and behind links, as events, ranked, and refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::events::Events;
use common::{House, PATIENCE, Reply};
use sensorium_media::MediaConfig;
use serde_json::{Value, json};

const GENERATIONS: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const VARIATIONS: &str = "/v1/images/variations";

/// One model that makes images in every way, one that makes them in one, and one that ranks them.
const MODELS: &str = r#"
[[model]]
id      = "draw"
aliases = ["gpt-image-1"]
plugin  = "stub"
load    = "eager"
options = { tasks = ["image"], allow_misbehaviour = true, max_batch = 2, image = { step_latency = "1ms" } }

[[model]]
id      = "plain"
plugin  = "stub"
load    = "eager"
truncate = "error"
options = { tasks = ["image"], image = { parameters = [], max_images = 2, context_length = 8 } }

[[model]]
id      = "clip"
plugin  = "stub"
load    = "eager"
options = { width = 16 }
"#;

async fn house() -> House {
    House::serving(MODELS, |_| {}, MediaConfig::default()).await
}

fn with(mut body: Value, more: Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn asking(more: Value) -> Value {
    with(json!({"model": "draw", "prompt": "a red circle"}), more)
}

/// A picture as it lies in a file.
#[derive(Debug, PartialEq)]
struct Picture {
    size: (u32, u32),
    /// RGB or RGBA.
    bytes: Vec<u8>,
    parameters: Option<String>,
}

fn decode(file: &[u8]) -> Picture {
    let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut bytes).unwrap();
    let info = reader.info();
    let text = info
        .uncompressed_latin1_text
        .iter()
        .find(|text| text.keyword == "parameters");
    Picture {
        size: (info.width, info.height),
        parameters: text.map(|text| text.text.clone()),
        bytes,
    }
}

/// The image of a reply.
fn picture(reply: &Reply, index: usize) -> Picture {
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    decode(
        &STANDARD
            .decode(reply.json()["data"][index]["b64_json"].as_str().unwrap())
            .unwrap(),
    )
}

/// A PNG of RGBA pixels that `colour` makes.
fn file(width: u32, height: u32, colour: impl Fn(u32, u32) -> [u8; 4]) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let bytes: Vec<u8> = pixels.flat_map(|(x, y)| colour(x, y)).collect();
    writer.write_image_data(&bytes).unwrap();
    writer.finish().unwrap();
    file
}

/// Grey, and transparent on the right.
fn half_transparent() -> Vec<u8> {
    file(64, 64, |x, _| [90, 90, 90, if x < 32 { 255 } else { 0 }])
}

fn grey() -> Vec<u8> {
    file(64, 64, |_, _| [90, 90, 90, 255])
}

fn data_uri(file: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(file))
}

/// Sends a form: texts, then files.
async fn form(house: &House, path: &str, texts: &[(&str, &str)], files: &[(&str, Vec<u8>)]) -> Reply {
    let mut body = Vec::new();
    for (name, text) in texts {
        let part = format!("--B\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        body.extend(part.into_bytes());
    }
    for (name, file) in files {
        let head = format!(
            "--B\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"x.png\"\r\ncontent-type: image/png\r\n\r\n"
        );
        body.extend([head.as_bytes(), file, b"\r\n"].concat());
    }
    body.extend(b"--B--\r\n");
    house
        .post_with(path, "content-type: multipart/form-data; boundary=B\r\n", &body)
        .await
}

fn refused(reply: &Reply, param: &str) {
    let shown = String::from_utf8_lossy(&reply.body);
    assert_eq!((reply.status, reply.error("param").as_str()), (400, param), "{shown}");
}

#[tokio::test]
async fn a_prompt_becomes_an_image_that_says_what_it_was_made_with() {
    let house = house().await;
    let body = asking(
        json!({"seed": 7, "size": "64x32", "steps": 5, "negative_prompt": "blur", "user": "u", "quality": "hd"}),
    );
    let reply = house.post(GENERATIONS, &body).await;
    let made = picture(&reply, 0);
    assert_eq!(made.size, (64, 32));
    assert_eq!(reply.header("x-sensorium-ignored"), Some("quality, user"));
    let json = reply.json();
    assert_eq!(json["data"][0]["seed"], 7);
    assert_eq!(json["size"], "64x32");
    assert_eq!(
        (&json["output_format"], &json["background"]),
        (&json!("png"), &json!("opaque"))
    );
    assert_eq!(json["model"], "draw");
    assert_eq!(
        json["parameters"],
        json!({"steps": 5, "guidance_scale": 7.5, "negative_prompt": "blur", "scheduler": "PNDMScheduler"})
    );
    assert_eq!(json["usage"]["input_tokens"], 5 + 3);
    assert_eq!(json["usage"]["input_tokens_details"]["text_tokens"], 8);
    assert!(json["created"].as_u64().unwrap() > 1_700_000_000);
    assert_eq!(
        made.parameters.as_deref(),
        Some(
            "a red circle\nNegative prompt: blur\nSteps: 5, Sampler: PNDMScheduler, CFG scale: 7.5, Seed: 7, Size: 64x32, \
             Model: draw"
        )
    );
    // The same again, under another name; and the model's own way of making them.
    let again = house
        .post(GENERATIONS, &with(body, json!({"model": "gpt-image-1"})))
        .await;
    assert_eq!(picture(&again, 0).bytes, made.bytes);
    let other = house.post(GENERATIONS, &asking(json!({}))).await;
    assert_eq!(picture(&other, 0).size, (64, 64));
    house.close().await;
}

#[tokio::test]
async fn several_images_have_seeds_that_follow_each_other() {
    let house = house().await;
    let three = house.post(GENERATIONS, &asking(json!({"n": 3, "seed": 10}))).await;
    let second = house.post(GENERATIONS, &asking(json!({"seed": 11}))).await;
    let seeds: Vec<_> = three.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["seed"].clone())
        .collect();
    assert_eq!(seeds, [10, 11, 12]);
    assert_eq!(picture(&three, 1).bytes, picture(&second, 0).bytes);
    let seed = |reply: &Reply| reply.json()["data"][0]["seed"].as_u64().unwrap();
    let (one, other) = (
        house.post(GENERATIONS, &asking(json!({}))).await,
        house.post(GENERATIONS, &asking(json!({}))).await,
    );
    assert_ne!(seed(&one), seed(&other), "random");
    assert!(seed(&one) < 1 << 32);
    let repeated = house.post(GENERATIONS, &asking(json!({"seed": seed(&one)}))).await;
    assert_eq!(picture(&repeated, 0).bytes, picture(&one, 0).bytes);
    house.close().await;
}

#[tokio::test]
async fn files_have_the_format_that_is_asked_for() {
    let house = house().await;
    for (more, magic) in [
        (json!({"output_format": "png"}), &b"\x89PNG"[..]),
        (
            json!({"output_format": "jpeg", "output_compression": 30}),
            b"\xff\xd8\xff",
        ),
        (json!({"output_format": "webp"}), b"RIFF"),
    ] {
        let reply = house.post(GENERATIONS, &asking(more.clone())).await;
        let text = reply.json()["data"][0]["b64_json"].as_str().unwrap().to_owned();
        assert!(STANDARD.decode(text).unwrap().starts_with(magic), "{more}");
        assert_eq!(reply.json()["output_format"], more["output_format"]);
    }
    house.close().await;
}

#[tokio::test]
async fn links_lead_to_files_for_a_while() {
    let house = house().await;
    let reply = house
        .post(
            GENERATIONS,
            &asking(json!({"response_format": "url", "n": 2, "seed": 1})),
        )
        .await;
    let inline = house.post(GENERATIONS, &asking(json!({"seed": 1}))).await;
    let json = reply.json();
    assert!(json["data"][0].get("b64_json").is_none());
    let url = json["data"][0]["url"].as_str().unwrap();
    let path = url.strip_prefix("http://x").unwrap();
    assert!(path.starts_with("/v1/images/files/") && path.ends_with(".png"), "{url}");
    let file = house.get(path).await;
    assert_eq!((file.status, file.header("content-type")), (200, Some("image/png")));
    assert!(file.header("cache-control").unwrap().starts_with("private, max-age="));
    assert_eq!(decode(&file.body).bytes, picture(&inline, 0).bytes);
    let gone = house.get("/v1/images/files/0123456789abcdef0123456789abcdef.png").await;
    assert_eq!((gone.status, gone.error("code").as_str()), (404, "file_not_found"));
    house.close().await;

    let small = House::serving(
        MODELS,
        |config| {
            config.kept_images = 1;
            config.public_url = Some("https://example.com/ai/".into());
        },
        MediaConfig::default(),
    )
    .await;
    let reply = small
        .post(GENERATIONS, &asking(json!({"response_format": "url", "n": 2})))
        .await;
    let status = async |index: usize| {
        let json = reply.json();
        let url = json["data"][index]["url"].as_str().unwrap();
        small
            .get(url.strip_prefix("https://example.com/ai").unwrap())
            .await
            .status
    };
    assert_eq!((status(0).await, status(1).await), (404, 200), "the newest is kept");
    small.close().await;
}

#[tokio::test]
async fn an_edit_paints_where_the_mask_says() {
    let house = house().await;
    let whole = |bytes: &[u8]| bytes.chunks(64 * 3).all(|row| row.iter().all(|&value| value == 90));
    let texts = [("model", "draw"), ("prompt", "a star"), ("seed", "3"), ("n", "1")];
    let by_mask = form(
        &house,
        EDITS,
        &texts,
        &[("image", grey()), ("mask", half_transparent())],
    )
    .await;
    let by_alpha = form(&house, EDITS, &texts, &[("image[]", half_transparent())]).await;
    let white = file(64, 64, |x, _| if x < 32 { [0, 0, 0, 255] } else { [255; 4] });
    let by_white = form(&house, EDITS, &texts, &[("image", grey()), ("mask", white)]).await;
    let json = json!({
        "model": "draw", "prompt": "a star", "seed": 3, "images": [{"image_url": data_uri(&grey())}],
        "mask": {"image_url": data_uri(&half_transparent())},
    });
    let by_json = house.post(EDITS, &json).await;
    let painted = picture(&by_mask, 0);
    assert_eq!(painted.size, (64, 64));
    let side = |painted: &Picture, right: bool| -> Vec<u8> {
        let rows = painted.bytes.chunks(64 * 3);
        rows.flat_map(|row| if right { &row[32 * 3..] } else { &row[..32 * 3] })
            .copied()
            .collect()
    };
    assert!(whole(&side(&painted, false)), "what is kept is kept to the pixel");
    assert!(!whole(&side(&painted, true)));
    for other in [&by_white, &by_json] {
        assert_eq!(picture(other, 0).bytes, painted.bytes);
    }
    // Under the transparency of the image itself there is white, not grey.
    assert_eq!(side(&picture(&by_alpha, 0), false), side(&painted, false));
    assert_eq!(by_mask.json()["parameters"]["strength"], json!(0.8));
    let free = form(&house, EDITS, &texts, &[("image", grey())]).await;
    assert!(
        !whole(&side(&picture(&free, 0), false)),
        "without a mask all of it is painted anew"
    );
    house.close().await;
}

#[tokio::test]
async fn images_made_from_an_image_have_its_shape_or_the_size_that_is_asked_for() {
    let house = house().await;
    let wide = file(200, 100, |x, _| [x as u8, 0, 0, 255]);
    let texts = [("model", "draw"), ("prompt", "a star")];
    let own = form(&house, EDITS, &texts, &[("image", wide.clone())]).await;
    assert_eq!(picture(&own, 0).size, (88, 48));
    let asked = [texts[0], texts[1], ("size", "32x64")];
    let sized = form(&house, EDITS, &asked, &[("image", wide.clone())]).await;
    assert_eq!(picture(&sized, 0).size, (32, 64));
    let varied = form(
        &house,
        VARIATIONS,
        &[("model", "draw"), ("n", "2"), ("strength", "0.1")],
        &[("image", wide)],
    )
    .await;
    assert_eq!(
        (
            picture(&varied, 1).size,
            varied.json()["data"].as_array().unwrap().len()
        ),
        ((88, 48), 2)
    );
    house.close().await;
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_by_name() {
    let house = house().await;
    for (more, param) in [
        (json!({"size": "60x64"}), "size"),
        (json!({"size": "8x8"}), "size"),
        (json!({"size": "2048x2048"}), "size"),
        (json!({"steps": 101}), "steps"),
        (json!({"size": "2048x1024", "n": 2, "steps": 100}), "n"),
        (json!({"scheduler": "Nonsense"}), "scheduler"),
        (json!({"loras": ["oil"]}), "loras[0]"),
        (json!({"background": "transparent"}), "background"),
        (json!({"best_of": 20}), "best_of"),
        (json!({"prompt": "stub:refuse"}), "prompt"),
    ] {
        refused(&house.post(GENERATIONS, &asking(more)).await, param);
    }
    for (more, param) in [
        (json!({"seed": 1}), "seed"),
        (json!({"steps": 7}), "steps"),
        (json!({"guidance_scale": 3}), "guidance_scale"),
        (json!({"negative_prompt": "x"}), "negative_prompt"),
        (json!({"scheduler": "PNDMScheduler"}), "scheduler"),
        (json!({"stream": true, "partial_images": 1}), "partial_images"),
        (json!({"n": 3}), "n"),
        (json!({"prompt": "one two three four five six seven"}), "prompt"),
    ] {
        let body = with(json!({"model": "plain", "prompt": "a star"}), more);
        refused(&house.post(GENERATIONS, &body).await, param);
    }
    let embeds = house
        .post(GENERATIONS, &json!({"model": "clip", "prompt": "a star"}))
        .await;
    assert_eq!(
        (embeds.status, embeds.error("code").as_str()),
        (400, "task_unsupported")
    );
    let nobody = house
        .post(GENERATIONS, &json!({"model": "nobody", "prompt": "a star"}))
        .await;
    assert_eq!(nobody.status, 404);
    house.close().await;
}

#[tokio::test]
async fn bad_images_and_masks_are_refused_by_name() {
    let house = house().await;
    let texts = [("model", "draw"), ("prompt", "a star")];
    let check = async |files: &[(&str, Vec<u8>)], param: &str| {
        refused(&form(&house, EDITS, &texts, files).await, param);
    };
    check(&[], "image").await;
    let many: Vec<_> = (0..17).map(|_| ("image[]", grey())).collect();
    check(&many, "image").await;
    check(&[("image", b"nonsense".to_vec())], "image").await;
    check(&[("image", Vec::new())], "image").await;
    check(&[("image", grey()), ("mask", vec![0; 20 << 20])], "mask").await;
    let empty = [&grey()[..16], &[0; 8], &grey()[24..]].concat();
    check(&[("image", grey()), ("mask", empty)], "mask").await;
    check(&[("image", grey()), ("mask", file(32, 64, |_, _| [0; 4]))], "mask").await;
    check(
        &[("image", grey()), ("mask", file(64, 64, |_, _| [0, 0, 0, 255]))],
        "mask",
    )
    .await;
    check(&[("image", grey()), ("mask", grey()), ("mask", grey())], "mask").await;
    check(&[("image", grey()), ("other", grey())], "other").await;
    for (path, files) in [(EDITS, vec![("image", grey())]), (VARIATIONS, vec![("image", grey())])] {
        let mut texts = vec![("model", "plain")];
        texts.extend((path == EDITS).then_some(("prompt", "a star")));
        refused(&form(&house, path, &texts, &files).await, "image");
    }
    house.close().await;
}

#[tokio::test]
async fn long_prompts_are_cut_and_the_reply_says_so() {
    let house = house().await;
    let long = "circle ".repeat(100);
    let cut = house.post(GENERATIONS, &asking(json!({"prompt": long}))).await;
    assert_eq!((cut.status, cut.header("x-sensorium-truncated")), (200, Some("prompt")));
    assert_eq!(cut.json()["usage"]["input_tokens"], 77);
    let strict = house
        .post(GENERATIONS, &asking(json!({"prompt": long, "truncate": false})))
        .await;
    refused(&strict, "prompt");
    assert_eq!(strict.error("code"), "context_length_exceeded");
    let negative = house
        .post(
            GENERATIONS,
            &asking(json!({"negative_prompt": long, "truncate": false})),
        )
        .await;
    refused(&negative, "negative_prompt");
    house.close().await;
}

#[tokio::test]
async fn the_best_are_chosen_by_the_model_that_ranks() {
    let house = house().await;
    let all = house
        .post(GENERATIONS, &asking(json!({"n": 4, "best_of": 4, "seed": 1})))
        .await;
    assert_eq!(all.status, 200, "{}", String::from_utf8_lossy(&all.body));
    let scores: Vec<f64> = all.json()["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| i["score"].as_f64().unwrap())
        .collect();
    assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
    let best = house.post(GENERATIONS, &asking(json!({"best_of": 4, "seed": 1}))).await;
    assert_eq!(best.json()["data"].as_array().unwrap().len(), 1);
    assert_eq!(best.json()["data"][0]["seed"], all.json()["data"][0]["seed"]);
    assert_eq!(picture(&best, 0).bytes, picture(&all, 0).bytes);
    let mut events = Events::open(
        &house,
        GENERATIONS,
        &asking(json!({"best_of": 4, "seed": 1, "stream": true})),
    )
    .await;
    let completed = objects(&events.rest().await);
    assert_eq!(completed.len(), 1);
    assert_eq!(
        (&completed[0]["seed"], &completed[0]["score"]),
        (&best.json()["data"][0]["seed"], &best.json()["data"][0]["score"])
    );
    house.close().await;
    for (models, scoring) in [
        (
            MODELS.replace("{ width = 16 }", "{ scoring = \"softmax\", modalities = [\"text\"] }"),
            None,
        ),
        (MODELS.to_owned(), Some("draw")),
        (MODELS.to_owned(), Some("nobody")),
    ] {
        let change = |config: &mut sensorium_api::Config| config.scoring_model = scoring.map(str::to_owned);
        let house = House::serving(&models, change, MediaConfig::default()).await;
        let reply = house.post(GENERATIONS, &asking(json!({"best_of": 2}))).await;
        assert_eq!(
            reply.error("param"),
            "best_of",
            "{scoring:?}: {}",
            String::from_utf8_lossy(&reply.body)
        );
        assert!((400..500).contains(&reply.status));
        house.close().await;
    }
}

/// The objects of named events.
fn objects(events: &[String]) -> Vec<Value> {
    let data = events.iter().filter_map(|event| event.split_once("\ndata: "));
    data.map(|(_, json)| serde_json::from_str(json).unwrap()).collect()
}

#[tokio::test]
async fn a_stream_shows_steps_previews_and_images_as_they_come() {
    let house = house().await;
    let more = json!({"stream": true, "partial_images": 3, "seed": 5, "steps": 8, "n": 2});
    let mut stream = Events::open(&house, GENERATIONS, &asking(more)).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream; charset=utf-8"));
    let events = stream.rest().await;
    assert!(stream.ended);
    let comments: Vec<&String> = events.iter().filter(|event| event.starts_with(": step ")).collect();
    assert_eq!(comments.len(), 8);
    assert_eq!(comments[7], ": step 8/8\n\n");
    let first = events
        .iter()
        .position(|event| event.starts_with("event: image_generation.partial_image\n"))
        .unwrap();
    assert_eq!(events[first - 1], ": step 2/8\n\n");
    let objects = objects(&events);
    let (partial, completed): (Vec<_>, Vec<_>) = objects
        .iter()
        .partition(|object| object["type"] == "image_generation.partial_image");
    let numbers: Vec<_> = partial
        .iter()
        .map(|p| (p["index"].clone(), p["partial_image_index"].clone()))
        .collect();
    let expected: Vec<_> = (0..3)
        .flat_map(|number| (0..2).map(move |index| (json!(index), json!(number))))
        .collect();
    assert_eq!(numbers, expected);
    assert_eq!(completed.len(), 2);
    for (index, event) in completed.iter().enumerate() {
        assert_eq!(event["type"], "image_generation.completed");
        assert_eq!((&event["index"], &event["seed"]), (&json!(index), &json!(5 + index)));
        assert_eq!(
            (&event["size"], &event["usage"]["input_tokens"]),
            (&json!("64x64"), &json!(5))
        );
    }
    let whole = house.post(GENERATIONS, &asking(json!({"seed": 5, "steps": 8}))).await;
    assert_eq!(completed[0]["b64_json"], whole.json()["data"][0]["b64_json"]);
    assert!(
        decode(&STANDARD.decode(partial[0]["b64_json"].as_str().unwrap()).unwrap())
            .parameters
            .is_none()
    );
    let edit = json!({"stream": true, "image": data_uri(&grey()), "partial_images": 1});
    let events = Events::open(&house, EDITS, &asking(edit)).await.rest().await;
    let names: Vec<&str> = events
        .iter()
        .filter_map(|event| event.strip_prefix("event: ")?.split('\n').next())
        .collect();
    assert_eq!(names, ["image_edit.partial_image", "image_edit.completed"]);
    house.close().await;
}

#[tokio::test]
async fn a_stream_that_breaks_ends_with_an_error() {
    let house = house().await;
    let body = asking(json!({"prompt": "stub:die:SIGKILL@5", "stream": true}));
    let events = Events::open(&house, GENERATIONS, &body).await.rest().await;
    let last: Value = serde_json::from_str(events.last().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(last["error"]["code"], "model_crashed");
    house.close().await;
}

#[tokio::test]
async fn a_client_that_leaves_calls_the_work_off() {
    let house = house().await;
    let slow = asking(json!({"prompt": "stub:sleep:600s@7", "steps": 50, "stream": true}));
    let mut stream = Events::open(&house, GENERATIONS, &slow).await;
    while stream.next().await.unwrap() != ": step 7/50\n\n" {}
    drop(stream);
    let running = async || {
        let text = String::from_utf8(house.get("/metrics").await.body).unwrap();
        let lines = text
            .lines()
            .filter(|line| line.starts_with("sensorium_requests_running{model=\"draw\""));
        lines
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum::<f64>()
    };
    let end = std::time::Instant::now() + PATIENCE;
    while running().await > 0.0 {
        assert!(std::time::Instant::now() < end, "it still runs");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    house.close().await;
}

#[tokio::test]
async fn the_list_of_models_says_what_each_makes() {
    let house = house().await;
    let model = house.get("/v1/models/draw").await.json();
    assert_eq!(model["tasks"], json!(["image"]));
    assert_eq!(
        (&model["image"]["default_size"], &model["image"]["max_images"]),
        (&json!("64x64"), &json!(16))
    );
    assert_eq!(model["image"]["parameters"].as_array().unwrap().len(), 10);
    assert!(house.get("/v1/models/clip").await.json()["image"].is_null());
    house.close().await;
}
