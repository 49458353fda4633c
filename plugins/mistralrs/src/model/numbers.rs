//! The tokenizer that the engine is given in place of the model's own: every token is called by its number.
//!
//! mistral.rs's vision models write a prompt's tokens out as text, put images' tokens into that text, and tokenize it
//! again; Qwen's do so at every step of the reply. With a real tokenizer what comes back is not always what went in:
//! another split of a word is enough to shift positions (qwen2_5_vl/inputs_processor.rs:163), and words of the client
//! might become tokens of their own. Here `<17>` is token 17 and nothing else, white space is nothing, and the few
//! tokens that those models look for keep their names. The prompt's real tokens are made by this plugin.

use serde_json::{Map, Value, json};

/// How a prompt is written for the engine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers {
    /// Tokens that the engine knows by a name.
    pub(crate) named: Vec<(u32, &'static str)>,
    /// Tokens that are written by a name, of which the engine makes tokens itself.
    pub(crate) written: Vec<(u32, &'static str)>,
    /// Tokens that the engine puts in itself.
    pub(crate) left_out: Vec<u32>,
    /// The token of which the engine makes as many as the image needs: only the first of a run is written.
    pub(crate) run: Option<u32>,
}

// === impl Numbers ===

impl Numbers {
    /// The prompt as the engine reads it.
    pub(crate) fn write(&self, ids: &[u32]) -> String {
        let mut text = String::with_capacity(ids.len() * 6);
        let mut before = None;
        for &id in ids {
            let repeats = self.run == Some(id) && before == Some(id);
            before = Some(id);
            if repeats || self.left_out.contains(&id) {
                continue;
            }
            match self.written.iter().chain(&self.named).find(|(own, _)| *own == id) {
                Some((_, name)) => text.push_str(name),
                None => text.push_str(&format!("<{id}>")),
            }
        }
        text
    }

    /// tokenizer.json with `size` tokens.
    pub(crate) fn tokenizer(&self, size: u32) -> Value {
        let name = |id: u32| match self.named.iter().find(|(own, _)| *own == id) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("<{id}>"),
        };
        let vocabulary: Map<String, Value> = (0..size).map(|id| (name(id), json!(id))).collect();
        let added: Vec<Value> = self
            .named
            .iter()
            .map(|(id, name)| {
                json!({
                    "id": id, "content": name, "special": true,
                    "single_word": false, "lstrip": false, "rstrip": false, "normalized": false
                })
            })
            .collect();
        json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": added,
            "normalizer": {"type": "Replace", "pattern": {"Regex": "\\s+"}, "content": ""},
            "pre_tokenizer": {
                "type": "Split", "pattern": {"Regex": "<\\d+>"}, "behavior": "Isolated", "invert": false
            },
            "post_processor": null,
            // The engine takes no tokenizer without one of two decoders; this one leaves plain letters as they are.
            "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false},
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": name(0)}
        })
    }
}

#[cfg(test)]
mod tests {
    use tokenizers_021::Tokenizer;

    use super::*;

    fn encoder(numbers: &Numbers) -> impl Fn(&str) -> Vec<u32> {
        let tokenizer = Tokenizer::from_bytes(numbers.tokenizer(200).to_string()).expect("a tokenizer");
        move |text| {
            tokenizer
                .encode_fast(text, true)
                .expect("it encodes")
                .get_ids()
                .to_vec()
        }
    }

    #[test]
    fn what_goes_in_comes_out() {
        let numbers = Numbers {
            named: vec![(7, "<image>"), (0, "<|pad|>")],
            ..Numbers::default()
        };
        let ids = [1, 7, 7, 199, 20, 0, 3];
        let text = numbers.write(&ids);
        assert_eq!(text, "<1><image><image><199><20><|pad|><3>");
        let encode = encoder(&numbers);
        assert_eq!(encode(&text), ids);
        assert_eq!(encode("<1>\n\n<image>\n<2> <3>"), [1, 7, 2, 3]);
        let tokenizer = Tokenizer::from_bytes(numbers.tokenizer(200).to_string()).expect("a tokenizer");
        assert_eq!(tokenizer.decode(&ids, false).expect("it decodes"), text);
        assert_eq!(tokenizer.get_vocab_size(true), 200);
    }

    #[test]
    fn images_are_written_once() {
        let numbers = Numbers {
            named: vec![(7, "<image>"), (8, "<fake>")],
            left_out: vec![8],
            run: Some(7),
            ..Numbers::default()
        };
        assert_eq!(
            numbers.write(&[1, 8, 7, 7, 7, 8, 8, 7, 7, 8, 2]),
            "<1><image><image><2>"
        );
    }
}
