use serde_json::json;
use utoipa::PartialSchema;

use super::*;
use crate::wire::completions::schema::CompletionRequest;

fn parse(body: &Value) -> Result<CompletionsCall, (String, String)> {
    CompletionsCall::from_json(body.to_string().as_bytes(), &Limits::default()).map_err(|error| {
        let error = error.body().error;
        (error.param.unwrap_or_default(), error.code.unwrap_or_default())
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut body = json!({"model": "m", "prompt": "Say this is a test"});
    body[name] = value;
    body
}

#[test]
fn prompts_have_many_forms() {
    let text = |text: &str| PromptItem::Text(text.into());
    let tokens = |ids: &[u32]| PromptItem::Tokens(ids.to_vec());
    for (prompt, items, listed) in [
        (json!("a"), vec![text("a")], false),
        (json!(""), vec![text("")], false),
        (json!(["a"]), vec![text("a")], true),
        (json!(["a", "b"]), vec![text("a"), text("b")], true),
        (json!([1, 2]), vec![tokens(&[1, 2])], false),
        (json!([[1, 2], [3]]), vec![tokens(&[1, 2]), tokens(&[3])], true),
        (json!([[1], "a"]), vec![tokens(&[1]), text("a")], true),
    ] {
        let call = parse(&with("prompt", prompt.clone())).unwrap();
        assert_eq!(call.prompts, Prompts { items, listed }, "{prompt}");
    }
}

#[test]
fn openais_example_and_defaults() {
    let call = parse(&json!({
        "model": "gpt-3.5-turbo-instruct", "prompt": "Say this is a test", "max_tokens": 7, "temperature": 0,
        "top_p": 1, "n": 1, "stream": false, "logprobs": null, "stop": "\n", "suffix": null, "best_of": 1, "user": "u"
    }))
    .unwrap();
    assert_eq!(
        (call.asked.max_tokens, call.asked.top_logprobs, call.echo),
        (Some(7), None, false)
    );
    assert_eq!(call.ignored, ["user"]);
    let wanted: Vec<&str> = call.asked.wanted.iter().map(|wanted| wanted.at.as_ref()).collect();
    assert_eq!(wanted, ["temperature", "prompt"]);
    assert_eq!(parse(&with("suffix", json!(""))).unwrap().asked.max_tokens, Some(16));
    assert_eq!(parse(&with("logprobs", json!(0))).unwrap().asked.top_logprobs, Some(0));
}

#[test]
fn refusals_name_the_field() {
    let (invalid, unsupported) = ("invalid_value", "unsupported_parameter");
    for (name, value, param, code) in [
        ("prompt", json!(null), "prompt", "missing_required_parameter"),
        ("prompt", json!([]), "prompt", invalid),
        ("prompt", json!(7), "prompt", invalid),
        ("prompt", json!({}), "prompt", invalid),
        ("prompt", json!([1, -2]), "prompt", invalid),
        ("prompt", json!([1, "a"]), "prompt", invalid),
        ("prompt", json!(["a", []]), "prompt[1]", invalid),
        ("prompt", json!(["a", 7]), "prompt[1]", invalid),
        ("prompt", json!([[1.5]]), "prompt[0]", invalid),
        ("prompt", json!(vec!["a"; 129]), "prompt", invalid),
        ("prompt", json!("x".repeat((4 << 20) + 1)), "prompt", invalid),
        ("suffix", json!("x"), "suffix", unsupported),
        ("best_of", json!(2), "best_of", unsupported),
        ("best_of", json!("x"), "best_of", invalid),
        ("logprobs", json!(6), "logprobs", invalid),
        ("logprobs", json!(true), "logprobs", invalid),
        ("max_tokens", json!(0), "max_tokens", invalid),
        ("max_completion_tokens", json!(5), "max_completion_tokens", unsupported),
        (
            "response_format",
            json!({"type": "json_object"}),
            "response_format",
            unsupported,
        ),
        ("echo", json!(1), "echo", invalid),
        ("n", json!(129), "n", invalid),
    ] {
        let refused = parse(&with(name, value)).map(|_| ());
        assert_eq!(refused, Err((param.to_owned(), code.to_owned())), "{name}");
    }
    let both = json!({"model": "m", "prompt": "a", "echo": true, "logprobs": 1});
    assert_eq!(parse(&both).map(|_| ()).unwrap_err().0, "echo");
    let many = json!({"model": "m", "prompt": ["a", "b"], "n": 65});
    assert_eq!(parse(&many).map(|_| ()).unwrap_err().0, "n");
}

#[test]
fn what_is_documented_is_understood() {
    let schema = serde_json::to_value(CompletionRequest::schema()).unwrap();
    for name in schema["properties"].as_object().unwrap().keys() {
        let value = match name.as_str() {
            "model" | "prompt" | "stop" => json!("x"),
            "max_tokens" | "n" | "seed" | "top_k" | "logprobs" => json!(2),
            "best_of" => json!(1),
            "temperature" | "top_p" | "min_p" | "presence_penalty" | "frequency_penalty" => json!(0.5),
            "repetition_penalty" => json!(1.5),
            "logit_bias" => json!({"1": 1}),
            "stream" | "echo" => json!(true),
            "stream_options" => continue,
            other => panic!("say here what {other} may be"),
        };
        assert!(parse(&with(name, value)).unwrap().ignored.is_empty(), "{name}");
    }
}
