use serde_json::json;

use super::*;

fn take(messages: Value, limits: &Limits) -> Result<(Vec<Message>, Vec<String>), String> {
    let mut fields = Fields::parse(json!({"messages": messages}).to_string().as_bytes()).unwrap();
    let taken = take_messages(&mut fields, limits);
    taken
        .map(|(messages, _)| (messages, fields.finish()))
        .map_err(|error| error.body().error.param.unwrap_or_default())
}

fn one(message: Value) -> Result<Message, String> {
    take(json!([message]), &Limits::default()).map(|(mut messages, _)| messages.remove(0))
}

fn texts(message: &Message) -> Vec<&str> {
    let texts = message.parts.iter().map(|part| match part {
        Part::Text(text) => text.as_str(),
        Part::Image { .. } => "<image>",
    });
    texts.collect()
}

#[test]
fn content_has_many_forms() {
    let image = json!({"type": "image_url", "image_url": {"url": "https://x/y"}});
    for (content, expected) in [
        (json!("hi"), vec!["hi"]),
        (json!(""), vec![""]),
        (json!(["hi", "there"]), vec!["hi", "there"]),
        (json!([{"type": "text", "text": "hi"}, image]), vec!["hi", "<image>"]),
        (
            json!([image, image, {"type": "input_text", "text": "a"}]),
            vec!["<image>", "<image>", "a"],
        ),
        (json!([{"type": "image_url", "image_url": "QUJD"}]), vec!["<image>"]),
        (
            json!([{"type": "input_image", "image_url": "data:,x"}]),
            vec!["<image>"],
        ),
        (json!([{"type": "image", "image": "https://x/y"}]), vec!["<image>"]),
        (json!([{"type": "refusal", "refusal": "no"}]), vec!["no"]),
    ] {
        let message = one(json!({"role": "user", "content": content.clone()})).unwrap();
        assert_eq!(texts(&message), expected, "{content}");
    }
}

#[test]
fn a_tools_round_trip_is_understood() {
    let (messages, ignored) = take(
        json!([
            {"role": "user", "content": "Weather?", "name": "ann"},
            {"role": "assistant", "content": null, "refusal": null, "annotations": [], "tool_calls": [
                {"id": "call_1", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{\"a\":1}"}},
                {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": ""}},
                {"id": "call_3", "type": "function", "function": {"name": "h", "arguments": {"b": 2}}},
            ]},
            {"role": "tool", "tool_call_id": "call_1", "content": "Rain."},
            {"role": "tool", "tool_call_id": "call_2", "content": [
                {"type": "image_url", "image_url": {"url": "https://x/y"}},
            ]},
        ]),
        &Limits::default(),
    )
    .unwrap();
    assert!(ignored.is_empty(), "{ignored:?}");
    assert_eq!(messages[0].name.as_deref(), Some("ann"));
    let calls: Vec<_> = messages[1]
        .tool_calls
        .iter()
        .map(|call| (call.id.as_str(), call.name.as_str(), call.arguments.as_str()))
        .collect();
    assert_eq!(
        calls,
        [
            ("call_1", "f", "{\"a\":1}"),
            ("call_2", "g", "{}"),
            ("call_3", "h", "{\"b\":2}")
        ]
    );
    assert!(messages[1].parts.is_empty());
    assert_eq!(messages[2].tool_call_id.as_deref(), Some("call_1"));
    let about: Vec<bool> = messages.iter().map(Message::is_about_tools).collect();
    assert_eq!(about, [false, true, true, true]);
}

#[test]
fn the_old_form_of_calls_is_understood() {
    let (messages, _) = take(
        json!([
            {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "4"},
            {"role": "assistant", "content": null, "refusal": "I can't."},
        ]),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(messages[0].tool_calls[0].name, "f");
    assert_eq!(messages[1].role, Role::Tool);
    assert_eq!(messages[1].tool_call_id.as_ref(), Some(&messages[0].tool_calls[0].id));
    assert_eq!(texts(&messages[2]), ["I can't."]);
}

#[test]
fn what_is_not_understood_is_listed() {
    let (_, ignored) = take(
        json!([
            {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {}}], "weight": 0},
            {"role": "assistant", "content": "b", "reasoning_content": "c", "tool_calls": []},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x", "detail": "low"}}]},
        ]),
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(
        ignored,
        [
            "messages[].content[].cache_control",
            "messages[].content[].image_url.detail",
            "messages[].reasoning_content",
            "messages[].weight"
        ]
    );
}

#[test]
fn refusals_name_the_place() {
    let call = |function: Value| json!({"role": "assistant", "tool_calls": [{"id": "c", "function": function}]});
    for (message, param) in [
        (json!(null), "messages[0]"),
        (json!("hi"), "messages[0]"),
        (json!({}), "messages[0].role"),
        (json!({"content": "a"}), "messages[0].role"),
        (json!({"role": "User", "content": "a"}), "messages[0].role"),
        (json!({"role": 7, "content": "a"}), "messages[0].role"),
        (json!({"role": "user"}), "messages[0].content"),
        (json!({"role": "user", "content": null}), "messages[0].content"),
        (json!({"role": "user", "content": []}), "messages[0].content"),
        (json!({"role": "user", "content": 7}), "messages[0].content"),
        (json!({"role": "user", "content": {}}), "messages[0].content"),
        (json!({"role": "user", "content": [[]]}), "messages[0].content[0]"),
        (json!({"role": "user", "content": [{}]}), "messages[0].content[0].type"),
        (
            json!({"role": "user", "content": ["a", {"type": "sound"}]}),
            "messages[0].content[1].type",
        ),
        (
            json!({"role": "user", "content": [{"type": "text"}]}),
            "messages[0].content[0].text",
        ),
        (
            json!({"role": "user", "content": [{"type": "image_url"}]}),
            "messages[0].content[0].image_url",
        ),
        (
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {}}]}),
            "messages[0].content[0].image_url.url",
        ),
        (
            json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": ""}}]}),
            "messages[0].content[0].image_url",
        ),
        (
            json!({"role": "system", "content": [{"type": "image_url", "image_url": "x"}]}),
            "messages[0].content[0].image_url",
        ),
        (
            json!({"role": "user", "content": [{"type": "input_audio"}]}),
            "messages[0].content[0]",
        ),
        (
            json!({"role": "user", "content": [{"type": "file"}]}),
            "messages[0].content[0]",
        ),
        (json!({"role": "user", "content": "a", "name": ""}), "messages[0].name"),
        (
            json!({"role": "user", "content": "a", "name": "x".repeat(300)}),
            "messages[0].name",
        ),
        (json!({"role": "tool", "content": "a"}), "messages[0].tool_call_id"),
        (json!({"role": "assistant", "content": null}), "messages[0].content"),
        (json!({"role": "assistant", "audio": {"id": "a"}}), "messages[0].audio"),
        (json!({"role": "assistant", "tool_calls": 7}), "messages[0].tool_calls"),
        (
            json!({"role": "assistant", "tool_calls": [7]}),
            "messages[0].tool_calls[0]",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"function": {}}]}),
            "messages[0].tool_calls[0].id",
        ),
        (
            json!({"role": "assistant", "tool_calls": [{"id": "a", "type": "custom"}]}),
            "messages[0].tool_calls[0].type",
        ),
        (call(json!(null)), "messages[0].tool_calls[0].function"),
        (call(json!({})), "messages[0].tool_calls[0].function.name"),
        (
            call(json!({"name": "f", "arguments": "{"})),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            call(json!({"name": "f", "arguments": "[1]"})),
            "messages[0].tool_calls[0].function.arguments",
        ),
        (
            call(json!({"name": "f", "arguments": 7})),
            "messages[0].tool_calls[0].function.arguments",
        ),
    ] {
        assert_eq!(one(message.clone()), Err(param.to_owned()), "{message}");
    }
}

#[test]
fn sizes_are_counted_over_all_messages() {
    let limits = Limits {
        messages: 3,
        parts: 4,
        prompt_bytes: 10,
        ..Limits::default()
    };
    let say = |text: &str| json!({"role": "user", "content": text});
    for (messages, expected) in [
        (json!([]), Err("messages")),
        (json!({}), Err("messages")),
        (json!([say("12345"), say("12345")]), Ok(2)),
        (json!([say("12345"), say("123456")]), Err("messages[1].content")),
        (json!([say(""), say(""), say(""), say("")]), Err("messages")),
        (
            json!([{"role": "user", "content": ["", "", "", "", ""]}]),
            Err("messages[0].content[4]"),
        ),
        (
            json!([{"role": "assistant", "tool_calls": [
                {"id": "a", "function": {"name": "f", "arguments": "{\"long\":12345}"}}
            ]}]),
            Err("messages[0].tool_calls[0].function"),
        ),
    ] {
        let got = take(messages.clone(), &limits).map(|(messages, _)| messages.len());
        assert_eq!(got, expected.map_err(str::to_owned), "{messages}");
    }
}
