use sensorium_engine::{Role, ToolChoice};
use utoipa::PartialSchema;

use super::*;
use crate::wire::chat::part::Part;
use crate::wire::chat::schema::ChatCompletionRequest;

fn parse(body: &Value) -> Result<ChatCall, (String, String)> {
    ChatCall::from_json(body.to_string().as_bytes(), &Limits::default()).map_err(|error| {
        let error = error.body().error;
        (error.param.unwrap_or_default(), error.code.unwrap_or_default())
    })
}

/// A request with one more field.
fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body[name] = value;
    body
}

fn wanted(call: &ChatCall) -> Vec<&str> {
    call.asked.wanted.iter().map(|wanted| wanted.at.as_ref()).collect()
}

#[test]
fn openais_examples() {
    let text = parse(&json!({
        "model": "gpt-5.4",
        "messages": [
            {"role": "developer", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"}
        ]
    }))
    .unwrap();
    let roles: Vec<Role> = text.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Developer, Role::User]);
    assert_eq!(wanted(&text), ["messages"]);
    assert!(text.ignored.is_empty() && !text.delivery.stream && text.asked.max_tokens.is_none());

    let image = parse(&json!({
        "model": "gpt-5.4",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "What is in this image?"},
            {"type": "image_url", "image_url": {"url": "https://example.com/boardwalk.jpg", "detail": "high"}}
        ]}],
        "max_tokens": 300
    }))
    .unwrap();
    let at = "messages[0].content[1].image_url".to_owned();
    let reference = "https://example.com/boardwalk.jpg".to_owned();
    assert_eq!(
        image.messages[0].parts,
        [
            Part::Text("What is in this image?".into()),
            Part::Image { reference, at }
        ]
    );
    assert_eq!(image.asked.max_tokens, Some(300));
    assert_eq!(image.ignored, ["messages[].content[].image_url.detail"]);

    let logprobs = parse(&with("logprobs", json!(true))).unwrap();
    assert_eq!(logprobs.asked.top_logprobs, Some(0));
    let mut body = with("logprobs", json!(true));
    body["top_logprobs"] = json!(2);
    assert_eq!(parse(&body).unwrap().asked.top_logprobs, Some(2));
}

#[test]
fn openais_tools() {
    let call = parse(&json!({
        "model": "gpt-5.4",
        "messages": [{"role": "user", "content": "What is the weather like in Boston today?"}],
        "tools": [{"type": "function", "function": {
            "name": "get_current_weather",
            "description": "Get the current weather in a given location",
            "parameters": {
                "type": "object",
                "properties": {
                    "location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}
                },
                "required": ["location"]
            }
        }}],
        "tool_choice": "auto",
        "parallel_tool_calls": false
    }))
    .unwrap();
    assert_eq!(call.tools.tools[0].name, "get_current_weather");
    assert_eq!((call.tools.choice, call.tools.parallel), (ToolChoice::Auto, false));
    let names: Vec<&str> = call.asked.wanted.iter().map(|wanted| wanted.at.as_ref()).collect();
    assert_eq!(names, ["messages", "tools"]);

    let schema = json!({"type": "object", "properties": {}, "additionalProperties": false});
    for strict in [json!(true), json!(false), json!(null)] {
        let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema, "strict": strict}});
        let call = parse(&with("response_format", format)).unwrap();
        assert_eq!(call.format, OutputFormat::JsonSchema(schema.clone()));
        assert_eq!(wanted(&call), ["messages", "response_format"]);
    }
}

#[test]
fn hints_are_listed_and_off_is_fine() {
    let hints = [
        ("user", json!("u")),
        ("metadata", json!({"a": "b"})),
        ("store", json!(false)),
        ("service_tier", json!("auto")),
        ("reasoning_effort", json!("low")),
        ("prompt_cache_key", json!("k")),
        ("safety_identifier", json!("s")),
        ("verbosity", json!("low")),
        ("prediction", json!({"type": "content", "content": "x"})),
        ("nobody_knows", json!({"this": 1})),
    ];
    for (name, value) in hints {
        assert_eq!(parse(&with(name, value)).unwrap().ignored, [name]);
    }
    for (name, value) in [
        ("tools", json!([])),
        ("tool_choice", json!("none")),
        ("parallel_tool_calls", json!(true)),
        ("response_format", json!({"type": "text"})),
        ("modalities", json!(["text"])),
        ("logprobs", json!(false)),
        ("top_logprobs", json!(0)),
        ("functions", json!(null)),
        ("audio", json!(null)),
        ("echo", json!(false)),
        ("add_generation_prompt", json!(true)),
        ("stream", json!(false)),
    ] {
        let call = parse(&with(name, value)).unwrap();
        assert!(call.ignored.is_empty() && wanted(&call) == ["messages"], "{name}");
    }
}

#[test]
fn max_tokens_has_two_names() {
    let tokens = |old: Value, new: Value| {
        let mut body = with("max_tokens", old);
        body["max_completion_tokens"] = new;
        parse(&body)
            .map(|call| call.asked.max_tokens)
            .map_err(|(param, _)| param)
    };
    assert_eq!(tokens(json!(5), json!(null)), Ok(Some(5)));
    assert_eq!(tokens(json!(null), json!(5)), Ok(Some(5)));
    assert_eq!(tokens(json!(5), json!(5)), Ok(Some(5)));
    assert_eq!(tokens(json!(5), json!(6)), Err("max_tokens".into()));
    for bad in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e30),
        json!("5"),
        json!(4_294_967_296_u64),
    ] {
        assert_eq!(tokens(bad.clone(), json!(null)), Err("max_tokens".into()), "{bad}");
        assert_eq!(
            tokens(json!(null), bad.clone()),
            Err("max_completion_tokens".into()),
            "{bad}"
        );
    }
}

#[test]
fn refusals_name_the_field() {
    let (invalid, unsupported) = ("invalid_value", "unsupported_parameter");
    for (name, value, param, code) in [
        ("model", json!(null), "model", "missing_required_parameter"),
        ("model", json!(7), "model", invalid),
        ("messages", json!(null), "messages", "missing_required_parameter"),
        ("functions", json!([]), "functions", unsupported),
        ("function_call", json!("auto"), "function_call", unsupported),
        ("audio", json!({"voice": "alloy"}), "audio", unsupported),
        ("modalities", json!(["text", "audio"]), "modalities", unsupported),
        ("web_search_options", json!({}), "web_search_options", unsupported),
        ("chat_template", json!("{{ x }}"), "chat_template", unsupported),
        ("guided_json", json!({}), "guided_json", unsupported),
        ("best_of", json!(2), "best_of", unsupported),
        ("echo", json!(true), "echo", unsupported),
        ("ignore_eos", json!(true), "ignore_eos", unsupported),
        ("logprobs", json!(3), "logprobs", invalid),
        ("top_logprobs", json!(5), "top_logprobs", invalid),
        ("top_logprobs", json!(21), "top_logprobs", invalid),
        ("tool_choice", json!("required"), "tool_choice", invalid),
        ("parallel_tool_calls", json!("no"), "parallel_tool_calls", invalid),
        ("response_format", json!("json"), "response_format", invalid),
        (
            "response_format",
            json!({}),
            "response_format.type",
            "missing_required_parameter",
        ),
        (
            "response_format",
            json!({"type": "yaml"}),
            "response_format.type",
            invalid,
        ),
        (
            "response_format",
            json!({"type": "json_schema"}),
            "response_format.json_schema",
            "missing_required_parameter",
        ),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "a b"}}),
            "response_format.json_schema.name",
            invalid,
        ),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": 3}}),
            "response_format.json_schema.schema",
            invalid,
        ),
    ] {
        let body = with(name, value);
        let refused = parse(&body).map(|_| ());
        assert_eq!(refused, Err((param.to_owned(), code.to_owned())), "{body}");
    }
}

#[test]
fn schemas_are_bounded() {
    let parse = |schema: Value| {
        let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
        parse(&with("response_format", format))
            .map(|_| ())
            .map_err(|(param, _)| param)
    };
    let deep = |levels: usize| (1..levels).fold(json!({}), |inner, _| json!({"items": inner}));
    let at = || Err("response_format.json_schema.schema".to_owned());
    assert_eq!(parse(deep(64)), Ok(()));
    assert_eq!(parse(deep(65)), at());
    assert_eq!(parse(json!({"enum": vec!["x".repeat(100); 2000]})), Ok(()));
    assert_eq!(parse(json!({"enum": vec!["x".repeat(100); 3000]})), at());
}

#[test]
fn what_is_documented_is_understood() {
    let schema = serde_json::to_value(ChatCompletionRequest::schema()).unwrap();
    for name in schema["properties"].as_object().unwrap().keys() {
        let value = match name.as_str() {
            "model" => json!("m"),
            "messages" => json!([{"role": "user", "content": "x"}]),
            "max_completion_tokens" | "max_tokens" | "n" | "seed" | "top_k" => json!(2),
            "temperature" | "top_p" | "min_p" | "presence_penalty" | "frequency_penalty" => json!(0.5),
            "repetition_penalty" => json!(1.5),
            "stop" => json!(["x"]),
            "logprobs" | "stream" | "parallel_tool_calls" => json!(true),
            "logit_bias" => json!({"1": 1}),
            "tools" => json!([{"type": "function", "function": {"name": "f"}}]),
            "tool_choice" => json!("auto"),
            "response_format" => json!({"type": "json_object"}),
            "modalities" => json!(["text"]),
            "stream_options" | "top_logprobs" => continue,
            other => panic!("say here what {other} may be"),
        };
        assert!(parse(&with(name, value)).unwrap().ignored.is_empty(), "{name}");
    }
    let mut body = with("stream", json!(true));
    body["stream_options"] = json!({"include_usage": true});
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(2);
    assert!(parse(&body).unwrap().ignored.is_empty());
}
