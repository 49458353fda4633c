//! CLIP's tokenizer out of the vocabulary files that came before `tokenizer.json`.

use serde_json::{Value, json};

use crate::{FileError, ModelDir};

/// CLIP's tokenizer as a `tokenizer.json`, from vocab.json and merges.txt; `None` if there are none.
///
/// # Errors
/// If they can't be read, or lack CLIP's special tokens.
pub fn clip_tokenizer(dir: &ModelDir) -> Result<Option<Value>, FileError> {
    let (Some(vocabulary), Some(merges)) = (dir.json::<Value>("vocab.json")?, dir.read("merges.txt")?) else {
        return Ok(None);
    };
    let merges = String::from_utf8(merges).map_err(|error| FileError::new(dir.label("merges.txt"), error))?;
    let merges: Vec<&str> = merges
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("#version"))
        .collect();
    let special = |token: &str| {
        let id = vocabulary.get(token).and_then(Value::as_u64);
        id.ok_or_else(|| FileError::new(dir.label("vocab.json"), format!("has no token {token}")))
    };
    let (start, end) = (special("<|startoftext|>")?, special("<|endoftext|>")?);
    let words = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
    Ok(Some(json!({
        "version": "1.0",
        "added_tokens": [added_token(start, "<|startoftext|>"), added_token(end, "<|endoftext|>")],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"},
        ]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        ]},
        "post_processor": {"type": "RobertaProcessing", "sep": ["<|endoftext|>", end], "cls": ["<|startoftext|>", start],
            "trim_offsets": false, "add_prefix_space": false},
        "model": {"type": "BPE", "unk_token": "<|endoftext|>", "continuing_subword_prefix": "",
            "end_of_word_suffix": "</w>", "fuse_unk": false, "vocab": vocabulary, "merges": merges},
    })))
}

/// A special token as a `tokenizer.json` lists it among its `added_tokens`.
pub fn added_token(id: u64, content: &str) -> Value {
    json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
           "special": true})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(vocabulary: &str) -> Result<Option<Value>, String> {
        let temp = tempfile::tempdir().expect("temp dir");
        std::fs::write(temp.path().join("vocab.json"), vocabulary).expect("written");
        std::fs::write(temp.path().join("merges.txt"), "#version: 0.2\na b</w>\n\n").expect("written");
        let dir = ModelDir::open(temp.path()).expect("opens");
        clip_tokenizer(&dir).map_err(|error| error.to_string())
    }

    #[test]
    fn vocabulary_files_become_a_tokenizer() {
        let tokenizer = made(r#"{"a": 0, "b</w>": 1, "ab</w>": 2, "<|startoftext|>": 3, "<|endoftext|>": 4}"#);
        let tokenizer = tokenizer.expect("reads").expect("is there");
        assert_eq!(tokenizer["model"]["merges"], json!(["a b</w>"]));
        assert_eq!(tokenizer["model"]["vocab"]["ab</w>"], 2);
        assert_eq!(tokenizer["added_tokens"][1], added_token(4, "<|endoftext|>"));
        assert_eq!(made("{}"), Err("vocab.json: has no token <|startoftext|>".to_owned()));
    }
}
