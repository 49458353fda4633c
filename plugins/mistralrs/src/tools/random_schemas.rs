//! Random schemas under random logits: whatever a model would say, the reply parses and is valid.

use sensorium_contract::{ChatMessage, ChatRequest, Conversation, OutputFormat, Prompt, Role, Sampling, ToolChoice};
use serde_json::{Value, json};

use super::validate::validate;
use crate::{
    reply::Replies,
    sampling::Verdict,
    text::fake::{self, STOP},
};

/// A small generator of pseudo-random numbers (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides
    }

    fn chance(&mut self, of: usize) -> bool {
        self.roll(of) == 0
    }
}

fn schema(dice: &mut Dice, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 7 } else { 12 }) {
        0 => string(dice),
        1 => integer(dice),
        2 => number(dice),
        3 => json!({ "type": "boolean" }),
        4 => json!({ "enum": ["a \"b\"", 1, null, true, "é\n", [1, {"x": 2}], 2.5] }),
        5 => json!({ "const": { "k": ["v", -3] } }),
        6 => json!({ "type": ["string", "null", "integer"] }),
        7 => array(dice, depth),
        8 => json!({ "anyOf": [schema(dice, depth - 1), schema(dice, depth - 1)] }),
        9 => json!({ "$ref": format!("#/$defs/def~1{}", dice.roll(3)) }),
        _ => object(dice, depth),
    }
}

fn string(dice: &mut Dice) -> Value {
    let formats = [
        "date",
        "time",
        "date-time",
        "duration",
        "email",
        "ipv4",
        "ipv6",
        "uuid",
        "uri",
        "no-such-format",
    ];
    let patterns = ["^[a-c]{2,4}$", "^x-", "[0-9]$", "^(red|blue)\\d?$"];
    match dice.roll(5) {
        0 => json!({ "type": "string", "maxLength": dice.roll(10) }),
        1 => json!({ "type": "string", "minLength": 2, "maxLength": 2 + dice.roll(5) }),
        2 => json!({ "type": "string", "pattern": patterns[dice.roll(patterns.len())] }),
        3 => json!({ "type": "string", "format": formats[dice.roll(formats.len())] }),
        _ => json!({ "type": "string", "enum": ["red", "dark blue", "\u{1f534}"] }),
    }
}

fn integer(dice: &mut Dice) -> Value {
    let low = dice.roll(2000) as i64 - 1000;
    match dice.roll(5) {
        0 => json!({ "type": "integer" }),
        1 => json!({ "type": "integer", "minimum": low }),
        2 => json!({ "type": "integer", "exclusiveMaximum": low }),
        3 => json!({ "type": "integer", "multipleOf": 5, "minimum": -20, "maximum": 1000 }),
        _ => json!({ "type": "integer", "minimum": low, "maximum": low + dice.roll(50) as i64 }),
    }
}

fn number(dice: &mut Dice) -> Value {
    match dice.roll(5) {
        0 => json!({ "type": "number" }),
        1 => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
        2 => json!({ "type": "number", "exclusiveMinimum": -2.5, "exclusiveMaximum": 0.125 }),
        3 => json!({ "type": "number", "minimum": 1e12 }),
        _ => json!({ "type": "number", "maximum": -3 }),
    }
}

fn array(dice: &mut Dice, depth: usize) -> Value {
    let items = schema(dice, depth - 1);
    match dice.roll(4) {
        0 => json!({ "type": "array", "items": items }),
        1 => json!({ "type": "array", "items": items, "minItems": 1, "maxItems": 1 + dice.roll(4) }),
        2 => json!({ "type": "array", "prefixItems": [items, { "type": "null" }], "items": false, "minItems": 2 }),
        _ => json!({ "type": "array", "maxItems": 2 }),
    }
}

fn object(dice: &mut Dice, depth: usize) -> Value {
    let names = ["a", "b c", "é", "d\"", "type", "$ref", "x/y"];
    let mut properties = serde_json::Map::new();
    let mut required = Vec::new();
    for name in names.iter().take(dice.roll(5)) {
        properties.insert((*name).to_owned(), schema(dice, depth - 1));
        if !dice.chance(3) {
            required.push(json!(name));
        }
    }
    let mut object = json!({ "type": "object", "properties": properties, "required": required });
    match dice.roll(4) {
        0 => object["additionalProperties"] = json!(false),
        1 => object["additionalProperties"] = json!({ "type": "integer" }),
        2 => object["additionalProperties"] = json!(true),
        _ => {}
    }
    object
}

fn request(format: OutputFormat, seed: u64) -> ChatRequest {
    ChatRequest {
        prompt: Prompt::Conversation(Conversation {
            messages: vec![ChatMessage::text(Role::User, "x")],
            tools: Vec::new(),
            tool_choice: ToolChoice::Auto,
            parallel_tool_calls: true,
        }),
        sampling: Sampling {
            seed,
            ..Sampling::default()
        },
        max_tokens: None,
        stop: Vec::new(),
        top_logprobs: None,
        format,
    }
}

/// The reply under logits that say nothing, or `None` if it is over 2,000 tokens long.
fn reply(replies: &Replies, request: &ChatRequest) -> Result<Option<Vec<u8>>, String> {
    let call = replies.start(request, &[], 2_000).map_err(|refused| refused.message)?;
    let (mut reply, mut bytes) = (call.reply, Vec::new());
    for _ in 0..2_000 {
        call.processor.next(&mut vec![0.0; 300]);
        let sampled = reply.sampled().expect("a token was chosen");
        match sampled.verdict {
            Verdict::Continues => bytes.extend_from_slice(replies.vocabulary().spelling(sampled.id)),
            Verdict::Completes => {
                bytes.extend_from_slice(replies.vocabulary().spelling(sampled.id));
                return Ok(Some(bytes));
            }
            Verdict::Ends => return Ok(Some(bytes)),
            Verdict::Fails(problem) => return Err(problem),
        }
    }
    Ok(None)
}

#[test]
fn every_reply_parses_and_is_valid() {
    let tokenizer = fake::byte_level(
        &["{\"", "\": ", ", ", "true", "],", "}}", "  ", "\n\n", "123"],
        &[("<x>", true)],
    );
    let replies = Replies::new(&tokenizer, &[STOP], None).expect("the tokenizer is good");
    let (mut whole, mut cut) = (0, 0);
    for seed in 1..=1_000u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut root = schema(&mut dice, 3);
        root["$defs"] = json!({
            "def/0": string(&mut dice),
            "def/1": { "type": "object", "properties": { "next": { "$ref": "#/$defs/def~11" } }, "additionalProperties": false },
            "def/2": array(&mut dice, 1),
        });
        match reply(&replies, &request(OutputFormat::JsonSchema(root.clone()), seed)) {
            Ok(Some(bytes)) => {
                let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{seed}: no UTF-8 under {root}"));
                let value =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{seed}: {error}: {text} under {root}"));
                validate(&root, &root, &value).unwrap_or_else(|error| panic!("{seed}: {error} in {text} under {root}"));
                whole += 1;
            }
            Ok(None) => cut += 1,
            Err(problem) => panic!("{seed}: {problem} under {root}"),
        }
    }
    assert!(whole > 950, "{whole} whole, {cut} cut off");
}

#[test]
fn any_object_is_an_object() {
    let replies = Replies::new(&fake::byte_level(&[], &[]), &[STOP], None).expect("the tokenizer is good");
    let mut whole = 0;
    for seed in 0..300 {
        if let Some(bytes) = reply(&replies, &request(OutputFormat::JsonObject, seed)).expect("it can be followed") {
            let text = String::from_utf8(bytes).expect("it is UTF-8");
            let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{seed}: {error}: {text}"));
            assert!(value.is_object());
            whole += 1;
        }
    }
    assert!(whole > 250, "{whole}");
}
