//! What a loaded model answers besides vectors: capabilities, item errors, and errors of files and options.

mod support;

use std::{fs, path::Path};

use sensorium_contract::{
    EmbedPayload, Fault, Filter, ImageSpec, ItemErrorCode, Matryoshka, Modality, ResizeMode, RgbImage, ScoringRule,
};
use support::{golden, load, text};

/// A copy of a golden model that may be changed.
fn copy(name: &str) -> tempfile::TempDir {
    let temp = tempfile::tempdir().expect("temp dir");
    for entry in fs::read_dir(golden(name)).expect("golden") {
        let entry = entry.expect("entry");
        if entry.path().is_file() {
            fs::copy(entry.path(), temp.path().join(entry.file_name())).expect("copy");
        }
    }
    temp
}

/// Changes one member of a JSON file of the model.
fn edit(directory: &Path, file: &str, key: &str, value: serde_json::Value) {
    let path = directory.join(file);
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).expect("file")).expect("JSON");
    json[key] = value;
    fs::write(path, json.to_string()).expect("written");
}

#[test]
fn clip_capabilities() {
    let model = load(&golden("clip"), "auto", "{}").expect("loads");
    let capabilities = &model.capabilities;
    assert_eq!(
        (
            capabilities.device.as_str(),
            capabilities.dtype.as_str(),
            capabilities.max_batch
        ),
        ("cpu", "f32", 64)
    );
    assert!(capabilities.memory_bytes > 100_000);
    let embed = capabilities.embed.as_ref().expect("it embeds");
    assert_eq!(embed.modalities, [Modality::Text, Modality::Image]);
    assert_eq!(
        (embed.width, embed.context_length, embed.token_ids, &embed.matryoshka),
        (24, 16, true, &None)
    );
    let scoring = embed.scoring.expect("CLIP scores");
    assert_eq!((scoring.rule, scoring.bias), (ScoringRule::Softmax, 0.0));
    assert!((scoring.scale - 2.6592f32.exp()).abs() < 1e-3);
    let mode = ResizeMode::ShortestEdgeCrop { shortest_edge: 32 };
    assert_eq!(
        embed.image,
        Some(ImageSpec {
            width: 32,
            height: 32,
            mode,
            filter: Filter::Bicubic
        })
    );
}

#[test]
fn siglip_capabilities() {
    let model = load(&golden("siglip"), "f32", r#"{"max_batch": 7}"#).expect("loads");
    let embed = model.capabilities.embed.as_ref().expect("it embeds");
    let scoring = embed.scoring.expect("SigLIP scores");
    assert_eq!(scoring.rule, ScoringRule::Sigmoid);
    assert!((scoring.scale - 2.3f32.exp()).abs() < 0.02 && (scoring.bias + 4.5).abs() < 1e-6);
    let squash = ImageSpec {
        width: 30,
        height: 30,
        mode: ResizeMode::Squash,
        filter: Filter::Bilinear,
    };
    assert_eq!((embed.image, model.capabilities.max_batch), (Some(squash), 7));
}

#[test]
fn text_embedders_and_single_towers_say_what_they_read() {
    for (name, modalities, width, context) in [
        ("bert-cls", &[Modality::Text][..], 32, 12),
        ("bert-dense", &[Modality::Text], 40, 24),
        ("roberta", &[Modality::Text], 32, 24),
        ("clip-text", &[Modality::Text], 24, 16),
        ("clip-vision", &[Modality::Image], 24, 0),
    ] {
        let embed = load(&golden(name), "f32", "{}")
            .expect(name)
            .capabilities
            .embed
            .expect("it embeds");
        assert_eq!(
            (embed.modalities.as_slice(), embed.width, embed.context_length),
            (modalities, width, context)
        );
        assert_eq!(embed.scoring, None, "{name}");
    }
}

#[test]
fn one_bad_input_harms_no_other() {
    let mut model = load(&golden("clip"), "f32", "{}").expect("loads");
    let wrong_size = EmbedPayload::Image(RgbImage::new(8, 8, vec![0; 192]).expect("valid"));
    let results = model.embed(&[
        text("a red circle"),
        wrong_size,
        EmbedPayload::TokenIds(vec![5, 4_000_000]),
        text(""),
        text("<|endoftext|> a <|startoftext|> red \u{0}\u{fffd} circle"),
        EmbedPayload::TokenIds(vec![]),
    ]);
    let ok: Vec<bool> = results.iter().map(Result::is_ok).collect();
    assert_eq!(ok, [true, false, false, true, true, true]);
    for (index, part) in [(1, "8×8 pixels, the model reads 32×32"), (2, "token 4000000")] {
        let error = results[index].as_ref().expect_err("refused");
        assert_eq!(error.code, ItemErrorCode::InvalidInput);
        assert!(error.message.contains(part), "{}", error.message);
    }
    let empty = results[3].as_ref().expect("empty text is fine");
    assert_eq!((empty.tokens, empty.truncated), (2, false));
    assert_eq!(empty.values, results[5].as_ref().expect("no ids are fine").values);
}

#[test]
fn long_texts_are_cut_or_refused_with_counts() {
    let long = "seven wizards quietly box with jugs of liquor ".repeat(40);
    for name in ["clip", "siglip", "bert-mean", "roberta"] {
        let mut model = load(&golden(name), "f32", "{}").expect(name);
        let context = model.capabilities.embed.as_ref().expect("it embeds").context_length;
        let cut = model.embed(&[text(&long)]).remove(0).expect("cut");
        assert_eq!((cut.tokens, cut.truncated), (context, true), "{name}");
        let error = model.embed_whole(text(&long)).expect_err("too long");
        assert_eq!(error.code, ItemErrorCode::ContextLength);
        assert!(
            error.message.ends_with(&format!("tokens, the model reads {context}")),
            "{}",
            error.message
        );
        let ids = EmbedPayload::TokenIds(vec![7; 100]);
        assert_eq!(
            model.embed_whole(ids).expect_err("too long").code,
            ItemErrorCode::ContextLength
        );
    }
}

#[test]
fn of_a_long_text_the_head_counts_however_long_it_is() {
    let words = "seven wizards quietly box with jugs of liquor ";
    for name in ["clip", "siglip", "bert-mean", "roberta"] {
        let mut model = load(&golden(name), "f32", "{}").expect(name);
        let vectors = model.vectors(&[text(&words.repeat(15)), text(&words.repeat(20_000))]);
        assert_eq!(vectors[0], vectors[1], "{name}");
    }
    let mut model = load(&golden("clip"), "f32", "{}").expect("loads");
    let vectors = model.vectors(&[text(&"wizard".repeat(100)), text(&"wizard".repeat(170_000))]);
    assert_eq!(vectors[0], vectors[1]);
    let error = model
        .embed_whole(text(&"wizard".repeat(170_000)))
        .expect_err("too long");
    assert_eq!(error.code, ItemErrorCode::ContextLength);
    assert!(error.message.contains("more than"), "{}", error.message);
}

#[test]
fn options_change_results_and_the_revision() {
    let plain = load(&golden("bert-mean"), "f32", "{}").expect("loads");
    let mut prompted = load(&golden("bert-mean"), "f32", r#"{"prompt": "query: "}"#).expect("loads");
    let mut again = load(&golden("bert-mean"), "f32", "{}").expect("loads");
    let bf16 = load(&golden("bert-mean"), "bf16", "{}").expect("loads");
    assert_eq!(plain.capabilities.revision, again.capabilities.revision);
    assert_ne!(plain.capabilities.revision, prompted.capabilities.revision);
    assert_ne!(plain.capabilities.revision, bf16.capabilities.revision);
    assert_eq!(
        prompted.vectors(&[text("a cat")]),
        again.vectors(&[text("query: a cat")])
    );
    let shorter = load(&golden("bert-mean"), "f32", r#"{"max_length": 9}"#).expect("loads");
    assert_eq!(shorter.capabilities.embed.expect("it embeds").context_length, 9);
}

#[test]
fn matryoshka_comes_from_options_or_config() {
    let listed = |options: &str, directory: &Path| {
        load(directory, "f32", options)
            .expect(options)
            .capabilities
            .embed
            .expect("it embeds")
            .matryoshka
    };
    let temp = copy("bert-mean");
    assert_eq!(listed("{}", temp.path()), None);
    assert_eq!(
        listed(r#"{"matryoshka": [8, 16]}"#, temp.path()),
        Some(Matryoshka {
            dimensions: vec![8, 16]
        })
    );
    edit(
        temp.path(),
        "config.json",
        "matryoshka_dimensions",
        serde_json::json!([16]),
    );
    assert_eq!(listed("{}", temp.path()), Some(Matryoshka { dimensions: vec![16] }));
    assert_eq!(listed(r#"{"matryoshka": false}"#, temp.path()), None);
}

#[test]
fn bad_options_are_the_callers_fault() {
    for (dtype, options, part) in [
        ("f32", r#"{"max_batches": 3}"#, "unknown field `max_batches`"),
        ("f32", r#"{"matryoshka": [4096]}"#, "4096"),
        ("f32", r#"{"pooling": "mean"}"#, "pooling is for text embedders"),
        ("f64", "{}", "use auto, f32, bf16 or f16"),
    ] {
        let error = load(&golden("clip"), dtype, options).err().expect(options);
        assert_eq!(error.fault, Fault::Caller, "{error}");
        assert!(error.message.contains(part), "{error}");
    }
}

#[test]
fn unloadable_files_are_the_models_fault() {
    type Break = fn(&Path);
    let cases: [(&str, Break); 9] = [
        ("config.json: is missing", |at| {
            fs::remove_file(at.join("config.json")).expect("removed")
        }),
        ("model.safetensors: is missing", |at| {
            fs::remove_file(at.join("model.safetensors")).expect("removed")
        }),
        ("save_pretrained", |at| {
            fs::rename(at.join("model.safetensors"), at.join("pytorch_model.bin")).expect("renamed");
        }),
        ("tokenizer.json: is missing", |at| {
            fs::remove_file(at.join("tokenizer.json")).expect("removed")
        }),
        ("tokenizer.json", |at| {
            fs::write(at.join("tokenizer.json"), "{").expect("written")
        }),
        ("valid safetensors", |at| {
            let bytes = fs::read(at.join("model.safetensors")).expect("read");
            fs::write(at.join("model.safetensors"), &bytes[..bytes.len() / 2]).expect("written");
        }),
        (
            "tensor `text_projection.weight` has shape [24, 32]; config.json makes it [28, 32]",
            |at| {
                edit(at, "config.json", "projection_dim", serde_json::json!(28));
            },
        ),
        ("makes images of 48×48 pixels; the model reads 32×32", |at| {
            edit(
                at,
                "preprocessor_config.json",
                "crop_size",
                serde_json::json!({"height": 48, "width": 48}),
            );
        }),
        ("model_type `llama`", |at| {
            edit(at, "config.json", "model_type", serde_json::json!("llama"))
        }),
    ];
    for (part, break_it) in cases {
        let temp = copy("clip");
        break_it(temp.path());
        let error = load(temp.path(), "f32", "{}").err().expect(part);
        assert_eq!(error.fault, Fault::Model, "{error}");
        assert!(error.message.contains(part), "{error} lacks {part}");
    }
}

#[test]
fn nothing_is_read_from_outside_the_directory() {
    let temp = copy("clip");
    let weights = temp.path().join("model.safetensors");
    fs::remove_file(&weights).expect("removed");
    std::os::unix::fs::symlink(golden("clip").join("model.safetensors"), weights).expect("link");
    let error = load(temp.path(), "f32", "{}").err().expect("refused");
    assert!(error.message.contains("outside the model's directory"), "{error}");
}

#[test]
fn a_vision_model_refuses_text() {
    let mut model = load(&golden("clip-vision"), "f32", "{}").expect("loads");
    let error = model.embed(&[text("a")]).remove(0).expect_err("refused");
    assert_eq!(error.message, "the model reads no text");
}

/// Gives every tensor of the model another name.
fn rename_tensors(directory: &Path, rename: impl Fn(&str) -> String) {
    let path = directory.join("model.safetensors");
    let bytes = fs::read(&path).expect("read");
    let length = u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
    let header: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&bytes[8..8 + length]).expect("a JSON header");
    let renamed: serde_json::Map<String, serde_json::Value> = header
        .into_iter()
        .map(|(name, info)| (if name == "__metadata__" { name } else { rename(&name) }, info))
        .collect();
    let header = serde_json::to_vec(&renamed).expect("JSON");
    fs::write(
        path,
        [&(header.len() as u64).to_le_bytes()[..], &header, &bytes[8 + length..]].concat(),
    )
    .expect("written");
}

#[test]
fn prefixes_and_old_norm_names_are_tolerated() {
    let expected = load(&golden("bert-mean"), "f32", "{}")
        .expect("loads")
        .vectors(&[text("a cat")]);
    let temp = copy("bert-mean");
    rename_tensors(temp.path(), |name| {
        let old = name
            .replace("LayerNorm.weight", "LayerNorm.gamma")
            .replace("LayerNorm.bias", "LayerNorm.beta");
        format!("bert.{old}")
    });
    assert_eq!(
        load(temp.path(), "f32", "{}").expect("loads").vectors(&[text("a cat")]),
        expected
    );
}

#[test]
fn a_nested_processor_config_goes_first() {
    let temp = copy("clip");
    let nested =
        serde_json::json!({"image_processor": {"size": {"shortest_edge": 40}, "crop_size": 32, "resample": 2}});
    fs::write(temp.path().join("processor_config.json"), nested.to_string()).expect("written");
    let embed = load(temp.path(), "f32", "{}")
        .expect("loads")
        .capabilities
        .embed
        .expect("it embeds");
    let mode = ResizeMode::ShortestEdgeCrop { shortest_edge: 40 };
    assert_eq!(
        embed.image,
        Some(ImageSpec {
            width: 32,
            height: 32,
            mode,
            filter: Filter::Bilinear
        })
    );
}

#[test]
fn siglips_own_tokenizer_cleans_text_whatever_tokenizer_json_says() {
    let temp = copy("siglip");
    edit(
        temp.path(),
        "tokenizer_config.json",
        "tokenizer_class",
        serde_json::json!("SiglipTokenizer"),
    );
    let mut model = load(temp.path(), "f32", "{}").expect("loads");
    let made = model.vectors(&[text("A red, CIRCLE!"), text("a  red circle")]);
    assert_eq!(made[0], made[1]);
}
