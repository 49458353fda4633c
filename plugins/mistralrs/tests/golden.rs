//! Greedy replies of tiny models of every family against those of transformers on the same files (made by
//! `make_goldens.py`): token for token, each alone and all at once.

mod support;

use sensorium_contract::{FinishReason, TokenLogprob};
use support::{Answer, Expected, ExpectedReply, golden, greedy, start};

/// How far log probabilities may lie from those of transformers.
const TOLERANCE: f32 = 1e-3;

/// What mistralrs-core 0.8.1 lets be compared.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Of log probabilities.
    tolerance: f32,
    /// A reply to an image is compared in its first token alone.
    first_of_images: bool,
}

const EXACT: Bounds = Bounds {
    tolerance: TOLERANCE,
    first_of_images: false,
};

async fn check(name: &str, bounds: Bounds) {
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
    let calls = expected
        .prompts
        .iter()
        .map(|prompt| model.answer(greedy(expected.messages(prompt), expected.max_tokens)));
    let together = at_once(calls).await;
    let mut wrong = Vec::new();
    for (how, answers) in [("alone", alone), ("at once", together)] {
        for (number, (prompt, answer)) in expected.prompts.iter().zip(&answers).enumerate() {
            if let Err(difference) = compare(bounds, &expected, prompt, answer) {
                wrong.push(format!("prompt {number} {how}: {difference}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

/// All calls at once; their results in order.
async fn at_once<T>(calls: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
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

/// What is not as transformers has it.
fn compare(bounds: Bounds, expected: &Expected, prompt: &ExpectedReply, answer: &Answer) -> Result<(), String> {
    let counted = (answer.started.prompt_tokens, answer.started.image_tokens);
    same(
        "tokens of the prompt and its images",
        &counted,
        &(prompt.prompt_tokens, prompt.image_tokens),
    )?;
    let ended = prompt.ids.len() < expected.max_tokens as usize;
    // The token that ends a reply is no part of its text.
    let ids = &prompt.ids[..prompt.ids.len() - usize::from(ended)];
    let made: Vec<u32> = answer.logprobs.iter().map(|token| token.chosen.id).collect();
    let equal = made.iter().zip(ids).take_while(|(a, b)| a == b).count();
    let first_alone = bounds.first_of_images && prompt.image_tokens > 0;
    let compared = if first_alone { equal.min(1) } else { equal };
    for (step, token) in answer.logprobs.iter().enumerate().take(compared) {
        let apart = furthest(token, prompt.logprobs[step], &prompt.top[step]);
        if apart >= bounds.tolerance {
            return Err(format!(
                "a log probability of step {step} is {apart} off; {equal} of {} ids are equal",
                ids.len()
            ));
        }
    }
    if first_alone {
        return same("first id", &made.first(), &ids.first());
    }
    same("ids", &made, &ids.to_vec())?;
    same("text", &answer.text.trim_start(), &prompt.text.trim_start())?;
    same(
        "tokens of the reply",
        &(answer.finished.completion_tokens as usize),
        &prompt.ids.len(),
    )?;
    let reason = if ended {
        FinishReason::Stop
    } else {
        FinishReason::Length
    };
    same("reason", &answer.finished.reason, &reason)
}

/// How far log probabilities are from those of the token chosen and of the likeliest ones; infinite if these are not the
/// likeliest ones at all.
fn furthest(token: &TokenLogprob, chosen: f32, top: &[(u32, f32)]) -> f32 {
    if token.top.len() != top.len() {
        return f32::INFINITY;
    }
    // By place, not by id: two may be as likely as each other.
    token
        .top
        .iter()
        .zip(top)
        .map(|(candidate, (_, logprob))| (candidate.logprob - logprob).abs())
        .fold((token.chosen.logprob - chosen).abs(), f32::max)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, made: &T, expected: &T) -> Result<(), String> {
    if made == expected {
        return Ok(());
    }
    Err(format!("{what}: {made:?}, not {expected:?}"))
}

#[tokio::test]
async fn idefics3() {
    check("idefics3", EXACT).await;
}

/// The prompts fit the sliding window, which mistral.rs makes one token too wide while it reads a prompt
/// (layers_masker.rs:120).
#[tokio::test]
async fn gemma3() {
    check("gemma3", EXACT).await;
}

/// Its mergers' GELU is approximated (vision_models/qwen3_vl/vision.rs:325).
#[tokio::test]
async fn qwen3_vl() {
    let tolerance = 5e-3;
    check("qwen3-vl", Bounds { tolerance, ..EXACT }).await;
}

/// Its projector's GELU is approximated (vision_models/llava/llava15.rs:46).
#[tokio::test]
async fn llava_1_5() {
    let tolerance = 1e-1;
    check("llava-1.5", Bounds { tolerance, ..EXACT }).await;
}

/// Every token of a reply to an image is put one position too far on (vision_models/qwen2_5_vl/mod.rs:242), and the
/// merger's GELU is approximated (vision_models/qwen2_5_vl/vision.rs:280).
#[tokio::test]
async fn qwen2_5_vl() {
    let bounds = Bounds {
        tolerance: 3e-2,
        first_of_images: true,
    };
    check("qwen2.5-vl", bounds).await;
}
