//! Several replies at once, replies that are called off, replies that nobody reads, and the end of the process.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::replies::SOME;
use super::request::{is_repeatable, plain};
use super::whole::{Outcome, Whole};
use crate::client::{CallError, ChatCall};
use crate::conformance::bench::{Bench, Session};
use crate::conformance::check::{Objection, Verdict};
use crate::{ChatEvent, ChatRequest};

/// "At once", on a machine that is busy with the model itself.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Most replies that are asked for at once.
const MANY: u32 = 32;

/// Tokens of a reply that takes a while.
const LONG: u32 = 128;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check(
            "as many replies at once as the model says all come to their end",
            async |bench| {
                let session = bench.session().await?;
                let count = session.capabilities.max_batch.min(MANY);
                let mut replies = JoinSet::new();
                for _ in 0..count {
                    let (client, request) = (session.client.clone(), plain(session.chatting()?, SOME));
                    replies.spawn(async move { Outcome::of(&client, request).await });
                }
                while let Some(reply) = replies.join_next().await {
                    match reply {
                        Ok(outcome) => outcome.finished()?,
                        Err(error) => return Objection::fail(error.to_string()),
                    };
                }
                session.still_works().await
            },
        )
        .await;
    bench
        .check(
            "Health answers at once while the model replies, and its progress grows",
            async |bench| {
                let session = bench.session().await?;
                session.grows_during(AT_ONCE, session.reply(long(session)?)).await?;
                quiet(session).await
            },
        )
        .await;
    bench
        .check(
            "a reply that is called off ends soon, and does not harm the next",
            async |bench| {
                let session = bench.session().await?;
                let alone = session.reply(plain(session.chatting()?, SOME)).await?;
                for patience in [0, 1, 3, 10, 30] {
                    let call = session.reply(long(session)?);
                    // Done or not: the future is dropped here.
                    let _ = tokio::time::timeout(Duration::from_millis(patience), call).await;
                    quiet(session).await?;
                    next_is(session, &alone).await?;
                }
                for events in 1..4 {
                    let mut call = begin(session).await?;
                    for _ in 1..events {
                        call.next().await?;
                    }
                    drop(call);
                    quiet(session).await?;
                    next_is(session, &alone).await?;
                }
                Ok(())
            },
        )
        .await;
    deadlines_and_readers(bench).await;
    bench
        .check(
            "Stop lets a reply that is under way finish, then ends the process with status 0",
            async |bench| {
                let session = bench.session().await?;
                let call = begin(session).await?;
                let process = bench.take_process().await?;
                process.client().stop(bench.options.timeout).await?;
                Outcome::read(call).await.finished()?;
                match tokio::time::timeout(bench.options.timeout, process.exited()).await {
                    Ok(cause) if cause.is_success() => Ok(()),
                    Ok(cause) => Objection::fail(format!("it {cause}")),
                    Err(_) => Objection::fail("the process is still there"),
                }
            },
        )
        .await;
}

async fn deadlines_and_readers(bench: &mut Bench<'_>) {
    bench
        .check("a reply whose deadline passes does not harm the next", async |bench| {
            let session = bench.session().await?;
            let alone = session.reply(plain(session.chatting()?, SOME)).await?;
            for micros in [500, 5_000, 50_000] {
                let deadline = Instant::now() + Duration::from_micros(micros);
                let outcome = match session.client.chat(long(session)?, Some(deadline)).await {
                    Ok(call) => Outcome::read(call).await,
                    Err(error) => Outcome::Failed(error),
                };
                match outcome {
                    Outcome::Finished(_) | Outcome::Failed(CallError::Deadline) => {}
                    other => return Objection::fail(format!("not DEADLINE_EXCEEDED: {other:?}")),
                }
                quiet(session).await?;
                next_is(session, &alone).await?;
            }
            Ok(())
        })
        .await;
    bench
        .check("replies that nobody reads hold up no other", async |bench| {
            let session = bench.session().await?;
            let others = session.capabilities.max_batch.min(MANY) - 1;
            if others == 0 {
                return Objection::skip("the model makes one reply at a time");
            }
            let mut unread = Vec::new();
            for _ in 0..others {
                unread.push(begin(session).await?);
            }
            session.reply(plain(session.chatting()?, SOME)).await?;
            for call in unread {
                Outcome::read(call).await.finished()?;
            }
            Ok(())
        })
        .await;
}

/// A request whose reply takes a while.
fn long(session: &Session) -> Result<ChatRequest, Objection> {
    let chat = session.chatting()?;
    Ok(plain(chat, LONG.min(chat.context_length / 2).max(1)))
}

/// A call whose reply has started.
async fn begin(session: &Session) -> Result<ChatCall, Objection> {
    let mut call = session.client.chat(long(session)?, None).await?;
    match call.next().await? {
        Some(ChatEvent::Started(_)) => Ok(call),
        other => Objection::fail(format!("the first event is {other:?}")),
    }
}

/// Waits until nothing runs.
async fn quiet(session: &Session) -> Verdict {
    session.quiet(AT_ONCE).await
}

async fn next_is(session: &Session, alone: &Whole) -> Verdict {
    let chat = session.chatting()?;
    let next = session.reply(plain(chat, SOME)).await?;
    if is_repeatable(chat) && next.text != alone.text {
        return Objection::fail(format!("the next says {:?}, not {:?}", next.text, alone.text));
    }
    Ok(())
}
