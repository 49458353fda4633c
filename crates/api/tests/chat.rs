//! Chats that are answered whole: shapes, choices, tools, JSON, log probabilities, images, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::talk::{CHAT, ask, ask_with, image};
use common::{House, PNG};
use serde_json::{Value, json};

fn content(reply: &Value, choice: usize) -> &str {
    reply["choices"][choice]["message"]["content"].as_str().unwrap()
}

/// A grey PNG of any size, as a `data:` URI.
fn png(width: u32, height: u32) -> String {
    use base64::Engine as _;
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::Eight);
    let pixels: Vec<u8> = (0..width * height).map(|pixel| pixel as u8).collect();
    encoder.write_header().unwrap().write_image_data(&pixels).unwrap();
    format!(
        "data:image/png;base64,{}",
        base64::engine::general_purpose::STANDARD.encode(file)
    )
}

#[tokio::test]
async fn a_reply_has_openais_shape() {
    let house = House::of_talkers().await;
    let more = json!({"user": "u", "metadata": {"a": "b"}, "reasoning_effort": "low", "max_tokens": 5, "seed": 1});
    let reply = house.post(CHAT, &ask_with("gpt-4o", "Hello", more)).await;
    let body = reply.json();
    assert_eq!(reply.status, 200, "{body}");
    assert_eq!(
        reply.header("x-sensorium-ignored"),
        Some("metadata, reasoning_effort, user")
    );
    assert!(reply.header("x-request-id").is_some() && reply.header("openai-processing-ms").is_some());
    let keys: Vec<&str> = body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "id",
        "object",
        "created",
        "model",
        "system_fingerprint",
        "choices",
        "usage",
    ];
    assert_eq!(keys, expected);
    assert_eq!(
        (body["object"].as_str(), body["model"].as_str()),
        (Some("chat.completion"), Some("talker"))
    );
    assert!(body["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert!(body["created"].as_u64().unwrap() > 1_700_000_000);
    let text = content(&body, 0).to_owned();
    assert_eq!(text.split(' ').count(), 5);
    assert_eq!(
        body["choices"],
        json!([{
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
            "logprobs": null,
            "finish_reason": "length"
        }])
    );
    // Four tokens of the template for the message and for the reply, and a word.
    let details = json!({"cached_tokens": 0, "image_tokens": 0});
    assert_eq!(
        body["usage"],
        json!({
            "prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14,
            "prompt_tokens_details": details, "completion_tokens_details": {"reasoning_tokens": 0}
        })
    );
    let again = house
        .chat(&ask_with(
            "talker",
            "Hello",
            json!({"max_completion_tokens": 5, "seed": 1}),
        ))
        .await;
    assert_eq!(content(&again, 0), text);
    assert_eq!(again["usage"]["prompt_tokens_details"]["cached_tokens"], 8);
    assert_eq!(again["system_fingerprint"], body["system_fingerprint"]);
    let whole = house.chat(&ask("echo", "say this")).await;
    assert_eq!(
        (content(&whole, 0), &whole["choices"][0]["finish_reason"]),
        ("say this", &json!("stop"))
    );
    house.close().await;
}

#[tokio::test]
async fn choices_have_seeds_of_their_own() {
    let house = House::of_talkers().await;
    let body = |n: u32, seed: Value| ask_with("talker", "Hello", json!({"n": n, "seed": seed, "max_tokens": 4}));
    let three = house.chat(&body(3, json!(7))).await;
    assert_eq!(three["choices"].as_array().unwrap().len(), 3);
    for index in 0..3 {
        assert_eq!(three["choices"][index]["index"], index);
        let alone = house.chat(&body(1, json!(7 + index))).await;
        assert_eq!(content(&alone, 0), content(&three, index));
    }
    let usage = &three["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(9), &json!(12))
    );
    let drawn = house.chat(&body(2, json!(null))).await;
    assert_ne!(content(&drawn, 0), content(&drawn, 1));
    // A model that takes one at a time answers all of them, one after the other.
    let many = house
        .chat(&ask_with("narrow", "Hello", json!({"n": 9, "max_tokens": 200})))
        .await;
    assert_eq!(many["choices"].as_array().unwrap().len(), 9);
    house.close().await;
}

#[tokio::test]
async fn tools_are_called_and_answered() {
    let house = House::of_talkers().await;
    let tool = |name: &str| {
        json!({"type": "function", "function": {"name": name, "parameters": {
            "type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]
        }}})
    };
    let tools = json!([tool("weather"), tool("clock")]);
    let body = |text: &str, choice: Value| ask_with("talker", text, json!({"tools": tools, "tool_choice": choice}));
    let both = house.chat(&body("weather and clock", json!("auto"))).await;
    let choice = &both["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &json!(null))
    );
    let calls = choice["message"]["tool_calls"].as_array().unwrap();
    let expected = |call: &Value, name: &str| json!({"id": call["id"], "type": "function", "function": {"name": name, "arguments": "{\"city\":\"Paris\"}"}});
    assert_eq!(
        calls,
        &vec![expected(&calls[0], "weather"), expected(&calls[1], "clock")]
    );
    for (choice, count) in [
        (json!("none"), 0),
        (json!("required"), 1),
        (json!({"type": "function", "function": {"name": "clock"}}), 1),
    ] {
        let reply = house.chat(&body("hello", choice.clone())).await;
        let calls = reply["choices"][0]["message"]["tool_calls"]
            .as_array()
            .map_or(0, Vec::len);
        assert_eq!(calls, count, "{choice}");
    }
    let mut one = body("weather and clock", json!("auto"));
    one["parallel_tool_calls"] = json!(false);
    assert_eq!(
        house.chat(&one).await["choices"][0]["message"]["tool_calls"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    // What the model said goes back as it came.
    let mut answered = body("weather and clock", json!("auto"));
    let messages = answered["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    for call in calls {
        messages.push(json!({"role": "tool", "tool_call_id": call["id"], "content": "Rain."}));
    }
    let reply = house.post(CHAT, &answered).await;
    assert_eq!(
        (reply.status, reply.header("x-sensorium-ignored")),
        (200, None),
        "{}",
        reply.json()
    );
    assert!(!content(&reply.json(), 0).is_empty());
    house.close().await;
}

#[tokio::test]
async fn json_and_log_probabilities() {
    let house = House::of_talkers().await;
    let any = house
        .chat(&ask_with(
            "talker",
            "Hello",
            json!({"response_format": {"type": "json_object"}}),
        ))
        .await;
    assert!(serde_json::from_str::<Value>(content(&any, 0)).unwrap().is_object());
    let schema = json!({"type": "object", "properties": {"n": {"type": "integer", "minimum": 4}}, "required": ["n"]});
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let shaped = house
        .chat(&ask_with("talker", "Hello", json!({"response_format": format})))
        .await;
    assert_eq!(content(&shaped, 0), "{\"n\":4}");
    let told = json!({"logprobs": true, "top_logprobs": 3, "max_tokens": 2});
    let told = house.chat(&ask_with("echo", "one two three", told)).await;
    let logprobs = &told["choices"][0]["logprobs"];
    assert_eq!((&logprobs["refusal"], content(&told, 0)), (&json!(null), "one two "));
    let tokens: Vec<&str> = logprobs["content"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["token"].as_str().unwrap())
        .collect();
    assert_eq!(tokens, ["one ", "two "]);
    let entry = &logprobs["content"][0];
    assert_eq!(entry["bytes"], json!([111, 110, 101, 32]));
    assert_eq!(entry["top_logprobs"].as_array().unwrap().len(), 3);
    assert_eq!(entry["top_logprobs"][0]["logprob"], entry["logprob"]);
    assert!(entry["logprob"].as_f64().unwrap() < 0.0);
    house.close().await;
}

#[tokio::test]
async fn images_reach_the_model() {
    let house = House::of_talkers().await;
    let uri = format!("data:image/png;base64,{}", png(8, 4).rsplit(',').next().unwrap());
    let body = |parts: Value| {
        let more = json!({"temperature": 0, "max_tokens": 20});
        let mut body = ask_with("talker", "", more);
        body["messages"][0]["content"] = parts;
        body
    };
    let question = json!({"type": "text", "text": "What is this?"});
    let one = house.chat(&body(json!([question, image(&uri)]))).await;
    assert!(content(&one, 0).starts_with("8x4 "), "{}", content(&one, 0));
    assert_eq!(one["usage"]["prompt_tokens_details"]["image_tokens"], 16);
    // However it is sent it is the same; other pixels are something else.
    let bare = uri.rsplit(',').next().unwrap();
    let mut detailed = image(bare);
    detailed["image_url"]["detail"] = json!("high");
    for part in [image(bare), detailed, json!({"type": "image_url", "image_url": uri})] {
        let reply = house.chat(&body(json!([question, part]))).await;
        assert_eq!(content(&reply, 0), content(&one, 0));
    }
    let other = house.chat(&body(json!([question, image(&png(4, 8))]))).await;
    assert!(content(&other, 0).starts_with("4x8 "));
    // Larger ones are scaled down to fit, smaller ones are left alone; order is kept over messages.
    let mut several = body(json!([image(&png(64, 32)), question, image(&png(5, 16))]));
    let messages = several["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": "Red."}));
    messages.push(json!({"role": "user", "content": [image(&png(300, 17))]}));
    let reply = house.chat(&several).await;
    assert!(
        content(&reply, 0).starts_with("16x8 5x16 16x1 "),
        "{}",
        content(&reply, 0)
    );
    assert_eq!(house.metric("sensorium_images_total", "model=\"talker\"").await, 8.0);
    house.close().await;
}

#[tokio::test]
async fn what_is_refused_is_named() {
    let house = House::of_talkers().await;
    let (invalid, unsupported) = ("invalid_value", "unsupported_parameter");
    let parts =
        |parts: Value| json!({"messages": [{"role": "system", "content": "x"}, {"role": "user", "content": parts}]});
    let text = json!({"type": "text", "text": "a"});
    let tool = json!([{"type": "function", "function": {"name": "f"}}]);
    let bomb = json!([{"type": "function", "function": {"name": "f", "parameters": {"type": "nothing"}}}]);
    let schema = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "nothing"}}});
    for (model, text, more, param, code) in [
        ("nobody", "a", json!({}), "model", "model_not_found"),
        ("embedder", "a", json!({}), "model", "task_unsupported"),
        ("base", "a", json!({}), "messages", unsupported),
        ("plain", "a", json!({"top_p": 0.5}), "top_p", unsupported),
        ("plain", "a", json!({"seed": 1}), "seed", unsupported),
        ("plain", "a", json!({"logprobs": true}), "logprobs", unsupported),
        ("plain", "a", json!({"tools": tool}), "tools", unsupported),
        (
            "plain",
            "a",
            json!({"response_format": {"type": "json_object"}}),
            "response_format",
            unsupported,
        ),
        (
            "plain",
            "a",
            json!({"messages": [{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "c", "content": "b"}]}),
            "messages[1]",
            unsupported,
        ),
        (
            "plain",
            "a",
            parts(json!([text, image(PNG)])),
            "messages[1].content[1].image_url",
            invalid,
        ),
        (
            "talker",
            "a",
            parts(json!([image(PNG)])),
            "messages[1].content[0].image_url",
            invalid,
        ),
        (
            "talker",
            "a",
            parts(json!(vec![image(&png(4, 4)); 4])),
            "messages[1].content[3].image_url",
            invalid,
        ),
        (
            "talker",
            "a",
            parts(json!([image("!!")])),
            "messages[1].content[0].image_url",
            "invalid_image",
        ),
        (
            "talker",
            "a",
            parts(json!([text, text, image("http://127.0.0.1/x")])),
            "messages[1].content[2].image_url",
            "image_url_blocked",
        ),
        ("talker", "a", json!({"temperature": 3}), "temperature", invalid),
        (
            "talker",
            "a",
            json!({"logit_bias": {"70000": 1}}),
            "logit_bias",
            invalid,
        ),
        (
            "echo",
            "a",
            json!({"logprobs": true, "top_logprobs": 4}),
            "top_logprobs",
            unsupported,
        ),
        (
            "talker",
            "a",
            json!({"response_format": schema}),
            "response_format",
            "invalid_json_schema",
        ),
        ("talker", "f", json!({"tools": bomb}), "tools[0]", "invalid_json_schema"),
        (
            "short",
            &"word ".repeat(100),
            json!({}),
            "messages",
            "context_length_exceeded",
        ),
        (
            "short",
            "a",
            json!({"max_tokens": 100}),
            "messages",
            "context_length_exceeded",
        ),
        ("talker", "stub:refuse", json!({}), "messages[0]", "invalid_input"),
        (
            "talker",
            "stub:refuse:context",
            json!({"stream": true, "n": 3}),
            "messages",
            "context_length_exceeded",
        ),
    ] {
        let body = ask_with(model, text, more);
        let reply = house.post(CHAT, &body).await;
        let status = if code == "model_not_found" { 404 } else { 400 };
        let shown: String = body.to_string().chars().take(200).collect();
        assert_eq!(
            (
                reply.status,
                reply.error("param").as_str(),
                reply.error("code").as_str()
            ),
            (status, param, code),
            "{shown}: {}",
            reply.json()
        );
        assert_eq!(reply.header("content-type"), Some("application/json"), "{shown}");
    }
    // Off is fine, whatever the model honours.
    let off = json!({"top_p": 1, "logprobs": false, "n": 1, "tools": [], "presence_penalty": 0, "logit_bias": {}});
    house.chat(&ask_with("plain", "a", off)).await;
    house.close().await;
}

#[tokio::test]
async fn failures_have_their_status() {
    let house = House::of_talkers().await;
    for (text, status, code) in [
        ("stub:error:caller", 400, "invalid_input"),
        ("stub:error:model", 500, "model_error"),
        ("stub:error:model@3", 500, "model_error"),
        ("stub:die:SIGKILL@3", 503, "model_crashed"),
    ] {
        let reply = house.post(CHAT, &ask("talker", text)).await;
        assert_eq!(
            (reply.status, reply.error("code").as_str()),
            (status, code),
            "{text}: {}",
            reply.json()
        );
    }
    let late = "x-sensorium-timeout-ms: 100\r\n";
    let body = ask_with("slow", "stub:say:1000", json!({"max_tokens": 1000})).to_string();
    let reply = house.post_with(CHAT, late, body.as_bytes()).await;
    assert_eq!((reply.status, reply.error("code").as_str()), (504, "deadline_exceeded"));
    house.close().await;
}

#[tokio::test]
async fn replies_that_are_too_large_are_refused() {
    let house = House::of_talkers_with(|config| config.limits.reply_bytes = 10_000).await;
    let body = |more: Value| ask_with("talker", "stub:say:1000", more);
    let reply = house.post(CHAT, &body(json!({"n": 4}))).await;
    assert_eq!(
        (reply.status, reply.error("code").as_str()),
        (400, "reply_too_large"),
        "{}",
        reply.json()
    );
    let reply = house
        .post(CHAT, &body(json!({"logprobs": true, "top_logprobs": 20})))
        .await;
    assert_eq!((reply.status, reply.error("code").as_str()), (400, "reply_too_large"));
    house.chat(&body(json!({}))).await;
    house
        .until("sensorium_requests_running", "model=\"talker\"", |running| {
            running == 0.0
        })
        .await;
    house.close().await;
}

#[tokio::test]
async fn models_say_how_they_chat() {
    let house = House::of_talkers().await;
    let model = house.get("/v1/models/gpt-4o").await.json();
    assert_eq!(
        (&model["root"], &model["tasks"]),
        (&json!("talker"), &json!(["chat", "complete"]))
    );
    let chat = &model["chat"];
    assert_eq!(
        (&chat["context_length"], &chat["modalities"]),
        (&json!(4096), &json!(["text", "image"]))
    );
    assert_eq!(chat["images"], json!({"max_images": 3, "min_side": 4}));
    let parameters = chat["parameters"].as_array().unwrap();
    assert!(parameters.contains(&json!("top_p")) && parameters.contains(&json!("json_schema")));
    assert_eq!(model["embedding"], json!(null));
    house.close().await;
}
