//! Prompts that are bad: refused as their sender's fault, and never the end of the process.

use super::replies::too_long;
use super::request::{asking, conversation, plain};
use super::whole::Outcome;
use crate::conformance::bench::Bench;
use crate::conformance::check::Objection;
use crate::conformance::samples;
use crate::{ChatMessage, ChatParameter, ChatRequest, Prompt, RefusalCode, Role};

/// Messages of a long conversation.
const MANY: usize = 200;

/// A context that is too long to be filled by a reply, in tokens.
const LONG: u32 = 2048;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check(
            "a prompt longer than the context is refused with CONTEXT_LENGTH",
            async |bench| {
                let session = bench.session().await?;
                let Some(request) = too_long(session.chatting()?) else {
                    return Objection::skip("the model has no bounded context");
                };
                match Outcome::of(&session.client, request).await {
                    Outcome::Refused(refused) if refused.code == RefusalCode::ContextLength => {}
                    other => return Objection::fail(format!("it comes to {other:?}")),
                }
                session.still_works().await
            },
        )
        .await;
    bench
        .check(
            "a reply as long as the context is refused with CONTEXT_LENGTH, or ends with it",
            async |bench| {
                let session = bench.session().await?;
                let chat = session.chatting()?;
                if chat.context_length > LONG {
                    return Objection::skip("the context is long");
                }
                match Outcome::of(&session.client, plain(chat, chat.context_length)).await {
                    Outcome::Refused(refused) if refused.code == RefusalCode::ContextLength => Ok(()),
                    Outcome::Finished(whole) => {
                        let tokens = whole.started.prompt_tokens + whole.finished.completion_tokens;
                        if tokens > chat.context_length {
                            return Objection::fail(format!("together they are {tokens} tokens"));
                        }
                        Ok(())
                    }
                    other => Objection::fail(format!("it comes to {other:?}")),
                }
            },
        )
        .await;
    bench
        .check("hostile prompts are never the instance's fault", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            let mut texts: Vec<String> = samples::HOSTILE_TEXTS.map(String::from).into();
            texts.extend(samples::HOSTILE_PROMPTS.map(String::from));
            texts.extend(["x".repeat(1 << 20), "🦀 ".repeat(1 << 16), "<image>".repeat(1 << 10)]);
            for text in texts {
                let shown = format!("{text:.60?}");
                let outcome = Outcome::of(&session.client, asking(chat, &text, 4)).await;
                outcome.not_the_instances_fault(&shown)?;
            }
            session.still_works().await
        })
        .await;
    bench
        .check("hostile conversations are never the instance's fault", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            if !chat.honours(ChatParameter::Conversation) {
                return Objection::skip("the model has no chat template");
            }
            for messages in conversations() {
                let shown = format!("{:.80?}", messages.first());
                let request = ChatRequest {
                    prompt: Prompt::Conversation(conversation(messages)),
                    ..plain(chat, 4)
                };
                Outcome::of(&session.client, request)
                    .await
                    .not_the_instances_fault(&shown)?;
            }
            session.still_works().await
        })
        .await;
    bench
        .check("hostile stop strings are never the instance's fault", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            for stop in [
                vec!["\0".into()],
                vec!["a".repeat(1 << 16)],
                samples::HOSTILE_TEXTS
                    .iter()
                    .filter(|text| !text.is_empty())
                    .map(ToString::to_string)
                    .collect(),
                (0..crate::MAX_STOPS).map(|n| n.to_string()).collect(),
            ] {
                let shown = format!("{:.60?}", stop);
                let request = ChatRequest { stop, ..plain(chat, 8) };
                Outcome::of(&session.client, request)
                    .await
                    .not_the_instances_fault(&shown)?;
            }
            session.still_works().await
        })
        .await;
}

/// Conversations that no template was written for.
fn conversations() -> Vec<Vec<ChatMessage>> {
    let say = ChatMessage::text;
    let nothing = ChatMessage {
        parts: Vec::new(),
        ..say(Role::User, "")
    };
    let alternating = (0..MANY).map(|n| say(if n % 2 == 0 { Role::User } else { Role::Assistant }, "and?"));
    let mut rows = vec![
        vec![nothing],
        vec![say(Role::System, "Alone.")],
        vec![say(Role::Developer, "Be brief."), say(Role::User, "Why?")],
        vec![say(Role::Assistant, "I was first.")],
        vec![
            say(Role::User, "One."),
            say(Role::User, "Two."),
            say(Role::System, "Three."),
        ],
        vec![say(Role::Tool, "Nobody has called me.")],
        vec![say(Role::User, "a"), say(Role::Assistant, "b")],
        alternating.collect(),
    ];
    for text in samples::HOSTILE_PROMPTS {
        let named = ChatMessage {
            name: Some(text.into()),
            ..say(Role::User, "Who am I?")
        };
        rows.push(vec![say(Role::System, text), named]);
    }
    rows
}
