//! Greedy replies of tiny models of every family against those of transformers on the same files (made by
//! `make_goldens.py`): token for token, each alone and all at once.

mod support;

use sensorium_contract::FinishReason;
use support::{Answer, Expected, ExpectedReply, golden, greedy, start};

/// Furthest that a log probability may lie from that of transformers.
const TOLERANCE: f32 = 1e-3;

async fn check(name: &str) {
    let expected = Expected::read(name);
    let model = start(&golden(name)).await;
    let mut alone = Vec::new();
    for prompt in &expected.prompts {
        alone.push(
            model
                .answer(greedy(expected.messages(prompt), expected.max_tokens))
                .await,
        );
    }
    for (prompt, answer) in expected.prompts.iter().zip(&alone) {
        compare(name, &expected, prompt, answer);
    }
    let together = expected
        .prompts
        .iter()
        .map(|prompt| model.answer(greedy(expected.messages(prompt), expected.max_tokens)));
    for (prompt, answer) in expected.prompts.iter().zip(futures(together).await) {
        compare(name, &expected, prompt, &answer);
    }
}

/// All at once, in order.
async fn futures<T>(calls: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut calls: Vec<_> = calls.map(Box::pin).collect();
    let mut done: Vec<Option<T>> = calls.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (call, done) in calls.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(value) = call.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if done.iter().any(Option::is_none) {
            return std::task::Poll::Pending;
        }
        std::task::Poll::Ready(done.drain(..).flatten().collect())
    })
    .await
}

fn compare(name: &str, expected: &Expected, prompt: &ExpectedReply, answer: &Answer) {
    let what = format!("{name}: {:?}", prompt.text);
    assert_eq!(
        answer.started.prompt_tokens, prompt.prompt_tokens,
        "{what}: tokens of the prompt"
    );
    assert_eq!(
        answer.started.image_tokens, prompt.image_tokens,
        "{what}: tokens of images"
    );
    let ended = (prompt.ids.len() as u32) < expected.max_tokens;
    let reason = if ended {
        FinishReason::Stop
    } else {
        FinishReason::Length
    };
    // The token that ends a reply is no part of its text.
    let ids = &prompt.ids[..prompt.ids.len() - usize::from(ended)];
    let made: Vec<u32> = answer.logprobs.iter().map(|token| token.chosen.id).collect();
    assert_eq!(made, ids, "{what}: ids; the text is {:?}", answer.text);
    assert_eq!(answer.text.trim_start(), prompt.text.trim_start(), "{what}: text");
    assert_eq!(answer.finished.reason, reason, "{what}");
    assert_eq!(
        answer.finished.completion_tokens as usize,
        prompt.ids.len(),
        "{what}: tokens of the reply"
    );
    for (step, token) in answer.logprobs.iter().enumerate() {
        let apart = (token.chosen.logprob - prompt.logprobs[step]).abs();
        assert!(
            apart < TOLERANCE,
            "{what}: log probability of token {step} is {apart} off"
        );
        assert_eq!(token.top.len(), 3, "{what}: likeliest tokens of step {step}");
        for (candidate, (id, logprob)) in token.top.iter().zip(&prompt.top[step]) {
            let apart = (candidate.logprob - logprob).abs();
            assert!(
                apart < TOLERANCE,
                "{what}: one of the likeliest tokens of step {step} is {apart} off"
            );
            // Two may be as likely as each other.
            assert!(
                candidate.id == *id || apart < TOLERANCE,
                "{what}: likeliest tokens of step {step}"
            );
        }
    }
}

#[tokio::test]
async fn idefics3() {
    check("idefics3").await;
}

#[tokio::test]
async fn qwen2_5_vl() {
    check("qwen2.5-vl").await;
}

#[tokio::test]
async fn qwen3_vl() {
    check("qwen3-vl").await;
}

#[tokio::test]
async fn gemma3() {
    check("gemma3").await;
}

#[tokio::test]
async fn llava_1_5() {
    check("llava-1.5").await;
}
