//! Random schemas under random logits: whatever a model would say, the reply parses and is valid.

use sensorium_contract::{
    ChatMessage, ChatRequest, ChatTool, Conversation, OutputFormat, Prompt, Role, Sampling, ToolChoice,
};
use serde_json::{Value, json};

use super::{Callable, Parsed, Syntax, ToolStream, validate::validate};
use crate::{
    reply::Replies,
    sampling::Verdict,
    text::{
        Piece,
        fake::{self, STOP},
    },
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
        0 => json!({ "type": "integer", "maximum": u64::MAX }),
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
            Verdict::Fails(error) => return Err(error.message),
        }
    }
    Ok(None)
}

fn replies(template: Option<&str>) -> Replies {
    let words = ["{\"", "\": ", ", ", "true", "],", "}}", "  ", "\n\n", "123"];
    let added = [
        ("<x>", true),
        ("<tool_call>", false),
        ("</tool_call>", false),
        ("[TOOL_CALLS]", true),
    ];
    Replies::new(&fake::byte_level(&words, &added), &[STOP], template).expect("the tokenizer is good")
}

/// Checks one reply under `root`; false if it was cut off.
fn check(replies: &Replies, root: &Value, seed: u64) -> bool {
    match reply(replies, &request(OutputFormat::JsonSchema(root.clone()), seed)) {
        Ok(Some(bytes)) => {
            let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{seed}: no UTF-8 under {root}"));
            let value = serde_json::from_str(&text);
            let value = value.unwrap_or_else(|error| panic!("{seed}: {error}: {text} under {root}"));
            validate(root, root, &value).unwrap_or_else(|error| panic!("{seed}: {error} in {text} under {root}"));
            true
        }
        Ok(None) => false,
        Err(problem) => panic!("{seed}: {problem} under {root}"),
    }
}

#[test]
fn every_reply_parses_and_is_valid() {
    let replies = replies(None);
    let mut whole = 0;
    for seed in 1..=1_000u64 {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut root = schema(&mut dice, 3);
        root["$defs"] = json!({
            "def/0": string(&mut dice),
            "def/1": { "type": "object", "properties": { "next": { "$ref": "#/$defs/def~11" } }, "additionalProperties": false },
            "def/2": array(&mut dice, 1),
        });
        whole += usize::from(check(&replies, &root, seed));
    }
    assert!(whole > 950, "{whole} of 1,000 were whole");
}

/// What pydantic and zod make of optional fields, unions, enums, tuples, dictionaries and inheritance.
#[test]
fn schemas_as_libraries_write_them_hold() {
    let pet = |kind: &str, required: &[&str]| {
        json!({
            "title": kind, "type": "object", "required": required,
            "properties": { "kind": { "const": kind, "default": kind, "type": "string" }, "age": { "type": "integer", "minimum": 0 } }
        })
    };
    let schemas = [
        json!({
            "$defs": { "Color": { "enum": ["red", "blue"], "title": "Color", "type": "string" } },
            "title": "Scene", "type": "object", "required": ["color", "size", "note", "when", "pair", "by_name"],
            "properties": {
                "color": { "$ref": "#/$defs/Color", "description": "of the object" },
                "size": { "anyOf": [{ "type": "number", "exclusiveMinimum": 0, "maximum": 9.5 }, { "type": "null" }], "default": null },
                "note": { "type": "string", "maxLength": 20, "title": "Note" },
                "when": { "type": "string", "format": "date-time" },
                "pair": {
                    "type": "array", "minItems": 2, "maxItems": 2,
                    "prefixItems": [{ "type": "integer" }, { "type": "boolean" }]
                },
                "by_name": { "type": "object", "additionalProperties": { "type": "integer" } }
            }
        }),
        json!({
            "$defs": { "Cat": pet("cat", &["age"]), "Dog": pet("dog", &["age"]) },
            "discriminator": { "propertyName": "kind", "mapping": { "cat": "#/$defs/Cat", "dog": "#/$defs/Dog" } },
            "oneOf": [{ "$ref": "#/$defs/Cat" }, { "$ref": "#/$defs/Dog" }]
        }),
        json!({
            "$defs": { "Cat": pet("cat", &["kind"]), "Dog": pet("dog", &["kind"]) },
            "type": "array", "minItems": 1, "maxItems": 3,
            "items": { "oneOf": [{ "$ref": "#/$defs/Cat" }, { "$ref": "#/$defs/Dog" }, { "type": "null" }] }
        }),
        json!({
            "allOf": [
                { "type": "object", "properties": { "a": { "type": "integer" } }, "required": ["a"] },
                { "type": "object", "properties": { "b": { "type": "string", "maxLength": 3 } }, "required": ["b"] }
            ]
        }),
        json!({
            "type": "object", "additionalProperties": false, "required": ["steps", "final"],
            "properties": {
                "steps": { "type": "array", "items": {
                    "type": "object", "additionalProperties": false, "required": ["explanation", "output"],
                    "properties": { "explanation": { "type": "string" }, "output": { "type": "string" } }
                } },
                "final": { "type": ["string", "null"] }
            }
        }),
    ];
    let replies = replies(None);
    for root in &schemas {
        let whole = (0..60).filter(|&seed| check(&replies, root, seed)).count();
        assert!(whole > 50, "{whole} of 60 were whole under {root}");
    }
}

#[test]
fn any_object_is_an_object() {
    let replies = replies(None);
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

/// Calls under random schemas, in every way to write them, are read back with arguments that are valid.
#[test]
fn every_call_is_read_back_with_valid_arguments() {
    let templates = [
        "{{ tools }} <tool_call>",
        "{{ tools }} <tool_call>\\n{",
        "{{ tools }} [TOOL_CALLS]",
        "{{ tools }} [TOOL_CALLS] [ARGS]",
        "{{ tools }} [TOOL_CALLS] [CALL_ID] [ARGS]",
        "{{ tools }} <|tool_call|>",
        "{{ tools }} <|python_tag|>",
        "{{ tools }} \"name\" \"arguments\"",
        "{{ tools }} <tool_call> <function=",
    ];
    for template in templates {
        let replies = replies(Some(template));
        let format = replies.tool_format().expect("the template has tools");
        let mut whole = 0;
        for seed in 1..=60u64 {
            let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let tools = ["first", "second \"one\""].map(|name| {
                let mut schema = object(&mut dice, 2);
                schema["$defs"] = json!({ "def/0": true, "def/1": integer(&mut dice), "def/2": string(&mut dice) });
                ChatTool {
                    name: name.to_owned(),
                    description: None,
                    parameters: Some(schema),
                    strict: false,
                }
            });
            let mut request = request(OutputFormat::Text, seed);
            if let Prompt::Conversation(conversation) = &mut request.prompt {
                conversation.tools = tools.to_vec();
                conversation.tool_choice = ToolChoice::Required;
            }
            let Some(bytes) = reply(&replies, &request).expect("it can be followed") else {
                continue;
            };
            let text = String::from_utf8(bytes).expect("it is UTF-8");
            let known = tools.iter().map(|tool| Callable {
                name: tool.name.clone(),
                parameters: tool.parameters.clone(),
            });
            let mut stream = ToolStream::new(format, known.collect(), Vec::new());
            let mut parsed = stream.push(&Piece {
                start: 0,
                text: text.clone(),
            });
            parsed.extend(stream.finish());
            assert!(!parsed.is_empty(), "{template} {seed}: nothing in {text}");
            for parsed in parsed {
                let Parsed::Call(call) = parsed else {
                    panic!("{template} {seed}: {parsed:?} in {text}")
                };
                let tool = tools
                    .iter()
                    .find(|tool| tool.name == call.name)
                    .expect("a tool that was offered");
                let schema = tool.parameters.as_ref().expect("it has one");
                let arguments: Value = serde_json::from_str(&call.arguments).expect("they are JSON");
                // In tags, texts with limits can't be guaranteed: such tools take anything.
                if format.syntax != Syntax::Xml {
                    let valid = validate(schema, schema, &arguments);
                    valid.unwrap_or_else(|error| panic!("{template} {seed}: {error} in {text} under {schema}"));
                }
            }
            whole += 1;
        }
        assert!(whole > 40, "{template}: {whole} of 60 were whole");
    }
}
