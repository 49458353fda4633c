//! Completions: prompts of every form, choices over them, the old log probabilities, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::House;
use common::talk::COMPLETIONS;
use serde_json::{Value, json};

async fn complete(house: &House, body: Value) -> Value {
    let reply = house.post(COMPLETIONS, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.json());
    reply.json()
}

fn text(reply: &Value, choice: usize) -> &str {
    reply["choices"][choice]["text"].as_str().unwrap()
}

#[tokio::test]
async fn a_reply_has_openais_shape() {
    let house = House::of_talkers().await;
    let body = json!({"model": "gpt-4o", "prompt": "Say this", "max_tokens": 4, "temperature": 0});
    let reply = complete(&house, body).await;
    assert_eq!(
        (&reply["object"], &reply["model"]),
        (&json!("text_completion"), &json!("talker"))
    );
    assert!(reply["id"].as_str().unwrap().starts_with("cmpl-"));
    let expected = json!([{"text": text(&reply, 0), "index": 0, "logprobs": null, "finish_reason": "length"}]);
    assert_eq!(reply["choices"], expected);
    let usage = &reply["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(3), &json!(4))
    );
    // OpenAI's default is 16 tokens.
    let reply = complete(&house, json!({"model": "base", "prompt": "Say this"})).await;
    assert_eq!(reply["usage"]["completion_tokens"], 16);
    house.close().await;
}

#[tokio::test]
async fn choices_go_over_prompts() {
    let house = House::of_talkers().await;
    let body = |prompt: Value, n: u32| json!({"model": "talker", "prompt": prompt, "n": n, "seed": 5, "max_tokens": 3});
    let four = complete(&house, body(json!(["one", "two"]), 2)).await;
    let indices: Vec<u64> = (0..4)
        .map(|at| four["choices"][at]["index"].as_u64().unwrap())
        .collect();
    assert_eq!(indices, [0, 1, 2, 3]);
    for (at, prompt) in [(0, "one"), (2, "two")] {
        let alone = complete(&house, body(json!(prompt), 2)).await;
        assert_eq!(
            (text(&alone, 0), text(&alone, 1)),
            (text(&four, at), text(&four, at + 1))
        );
    }
    // Each prompt counts once: a token for its beginning, and a word.
    let usage = &four["usage"];
    assert_eq!(
        (&usage["prompt_tokens"], &usage["completion_tokens"]),
        (&json!(4), &json!(12))
    );
    house.close().await;
}

#[tokio::test]
async fn token_ids_are_the_models_or_cl100ks() {
    let house = House::of_talkers().await;
    let body =
        |model: &str, prompt: Value| json!({"model": model, "prompt": prompt, "max_tokens": 3, "temperature": 0});
    let said = complete(&house, body("talker", json!("Hello world"))).await;
    let ids = complete(&house, body("talker", json!([9906, 1917]))).await;
    assert_eq!(text(&said, 0), text(&ids, 0));
    let echoed = json!({"model": "talker", "prompt": [[9906, 1917]], "max_tokens": 3, "temperature": 0, "echo": true});
    assert_eq!(
        text(&complete(&house, echoed).await, 0),
        format!("Hello world{}", text(&said, 0))
    );
    complete(
        &house,
        json!({"model": "echo", "prompt": [[5, 6], [7]], "max_tokens": 1}),
    )
    .await;
    house.close().await;
}

#[tokio::test]
async fn log_probabilities_are_lists_side_by_side() {
    let house = House::of_talkers().await;
    let body = json!({"model": "echo", "prompt": "né two three", "logprobs": 2, "max_tokens": 2});
    let reply = complete(&house, body).await;
    let logprobs = &reply["choices"][0]["logprobs"];
    assert_eq!(
        (&logprobs["tokens"], &logprobs["text_offset"]),
        (&json!(["né ", "two "]), &json!([0, 3]))
    );
    assert_eq!(logprobs["token_logprobs"].as_array().unwrap().len(), 2);
    let top = logprobs["top_logprobs"][0].as_object().unwrap();
    assert_eq!((top.len(), &top["né "]), (2, &logprobs["token_logprobs"][0]));
    house.close().await;
}

#[tokio::test]
async fn what_is_refused_is_named() {
    let house = House::of_talkers().await;
    let (invalid, unsupported) = ("invalid_value", "unsupported_parameter");
    for (body, param, code) in [
        (json!({"model": "plain", "prompt": "a"}), "prompt", unsupported),
        (json!({"model": "embedder", "prompt": "a"}), "model", "task_unsupported"),
        (
            json!({"model": "base", "prompt": "a", "temperature": 0}),
            "temperature",
            unsupported,
        ),
        (
            json!({"model": "talker", "prompt": "a", "suffix": "b"}),
            "suffix",
            unsupported,
        ),
        (
            json!({"model": "talker", "prompt": "a", "best_of": 3}),
            "best_of",
            unsupported,
        ),
        (
            json!({"model": "echo", "prompt": [[1], [70_000]]}),
            "prompt[1]",
            invalid,
        ),
        (json!({"model": "echo", "prompt": [1], "echo": true}), "prompt", invalid),
        (
            json!({"model": "talker", "prompt": [[4_000_000_000_u32]]}),
            "prompt[0]",
            invalid,
        ),
        (
            json!({"model": "short", "prompt": ["a", "word ".repeat(100)], "n": 2}),
            "prompt[1]",
            "context_length_exceeded",
        ),
        (
            json!({"model": "short", "prompt": "word ".repeat(100)}),
            "prompt",
            "context_length_exceeded",
        ),
    ] {
        let reply = house.post(COMPLETIONS, &body).await;
        let shown: String = body.to_string().chars().take(200).collect();
        assert_eq!(
            (
                reply.status,
                reply.error("param").as_str(),
                reply.error("code").as_str()
            ),
            (400, param, code),
            "{shown}: {}",
            reply.json()
        );
    }
    house.close().await;
}
