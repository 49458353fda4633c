//! Tokenizers for tests: every byte is a token, and a few longer ones are too.

use serde_json::{Map, json};
use tokenizers_021::Tokenizer;

use super::Vocabulary;

/// The id that ends replies in `byte_level`.
pub(crate) const STOP: u32 = 256;

/// A ByteLevel tokenizer: the ids 0 to 255 are the bytes, 256 is `<eos>`, then come `words`, then `added` tokens
/// with whether they are special.
pub(crate) fn byte_level(words: &[&str], added: &[(&str, bool)]) -> Tokenizer {
    let spell = |word: &str| word.bytes().map(letter).collect::<String>();
    let mut ids = Map::new();
    for byte in 0..=255u8 {
        ids.insert(letter(byte).to_string(), json!(byte));
    }
    ids.insert("<eos>".to_owned(), json!(STOP));
    for word in words {
        ids.insert(spell(word), json!(ids.len()));
    }
    let mut tokens = vec![json!({
        "id": STOP, "content": "<eos>", "special": true,
        "single_word": false, "lstrip": false, "rstrip": false, "normalized": false
    })];
    for (content, special) in added {
        tokens.push(json!({
            "id": ids.len(), "content": content, "special": special,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false
        }));
        ids.insert((*content).to_owned(), json!(ids.len()));
    }
    build(&json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": tokens, "normalizer": null,
        "pre_tokenizer": { "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true },
        "post_processor": null,
        "decoder": { "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "",
            "end_of_word_suffix": "", "fuse_unk": false, "vocab": ids, "merges": []
        }
    }))
}

/// A tokenizer in the manner of Llama 2: ▁ for blanks, bytes as `<0x…>`, and a blank before every text.
pub(crate) fn byte_fallback(words: &[&str]) -> Tokenizer {
    let mut ids = Map::new();
    for byte in 0..=255u8 {
        ids.insert(format!("<0x{byte:02X}>"), json!(byte));
    }
    ids.insert("</s>".to_owned(), json!(STOP));
    for word in words {
        ids.insert((*word).to_owned(), json!(ids.len()));
    }
    build(&json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [{
            "id": STOP, "content": "</s>", "special": true,
            "single_word": false, "lstrip": false, "rstrip": false, "normalized": false
        }],
        "normalizer": { "type": "Sequence", "normalizers": [
            { "type": "Prepend", "prepend": "▁" }, { "type": "Replace", "pattern": { "String": " " }, "content": "▁" }
        ] },
        "pre_tokenizer": null, "post_processor": null,
        "decoder": { "type": "Sequence", "decoders": [
            { "type": "Replace", "pattern": { "String": "▁" }, "content": " " }, { "type": "ByteFallback" },
            { "type": "Fuse" }, { "type": "Strip", "content": " ", "start": 1, "stop": 0 }
        ] },
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": true, "byte_fallback": true, "vocab": ids, "merges": []
        }
    }))
}

/// The vocabulary of a tokenizer from above.
pub(crate) fn vocabulary(tokenizer: &Tokenizer) -> Vocabulary {
    Vocabulary::new(tokenizer, &[STOP]).expect("the tokenizer is good")
}

fn build(json: &serde_json::Value) -> Tokenizer {
    Tokenizer::from_bytes(json.to_string().as_bytes()).expect("the tokenizer is good")
}

/// The letter that stands for a byte in GPT-2's alphabet.
fn letter(byte: u8) -> char {
    let plain = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if plain(byte) {
        return char::from(byte);
    }
    let rank = (0..byte).filter(|&other| !plain(other)).count() as u32;
    char::from_u32(256 + rank).expect("it is below 512")
}
