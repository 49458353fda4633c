//! Replies of text: counted, cut where they should be, the same every time.

use super::request::{asking, conversation, is_repeatable, plain};
use super::whole::Outcome;
use crate::conformance::bench::{Bench, Session};
use crate::conformance::check::{Objection, Verdict};
use crate::{ChatCapabilities, ChatMessage, ChatParameter, ChatRequest, FinishReason, Prompt, Role};

/// Tokens of a reply that is long enough to show something.
pub(super) const SOME: u32 = 24;

/// Most of a probability that rounding may add.
const ROUNDING: f32 = 0.01;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check(
            "a prompt is answered: started, deltas, finished; tokens counted",
            async |bench| {
                let session = bench.session().await?;
                session.reply(plain(session.chatting()?, SOME)).await.map(|_| ())
            },
        )
        .await;
    bench
        .check(
            "a reply has at most max_tokens, and ends by `length` if it needs more",
            async |bench| {
                let session = bench.session().await?;
                let chat = session.chatting()?;
                let whole = session.reply(plain(chat, SOME)).await?;
                for limit in [1, whole.finished.completion_tokens.div_ceil(2)] {
                    let cut = session.reply(plain(chat, limit)).await?;
                    if !is_repeatable(chat) {
                        continue;
                    }
                    if limit < whole.finished.completion_tokens && cut.finished.reason != FinishReason::Length {
                        return Objection::fail(format!(
                            "cut after {limit} tokens it ends by {:?}",
                            cut.finished.reason
                        ));
                    }
                    if !whole.text.trim().starts_with(cut.text.trim()) {
                        return Objection::fail(format!("cut it says {:?}, not {:?}", cut.text, whole.text));
                    }
                }
                Ok(())
            },
        )
        .await;
    bench
        .check(
            "a reply ends before a stop string, no part of which is in the text",
            async |bench| {
                let session = bench.session().await?;
                stops(session).await
            },
        )
        .await;
    bench
        .check("conversations of several turns and roles are read", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            if !chat.honours(ChatParameter::Conversation) {
                return Objection::skip("the model has no chat template");
            }
            let turns = [
                (Role::System, "Be brief."),
                (Role::User, "Hello."),
                (Role::Assistant, "Hello!"),
                (Role::User, "How are you?"),
            ];
            let messages = turns.map(|(role, text)| ChatMessage::text(role, text));
            let request = ChatRequest {
                prompt: Prompt::Conversation(conversation(messages.into())),
                ..plain(chat, SOME)
            };
            let short = session.reply(asking(chat, "How are you?", SOME)).await?;
            let long = session.reply(request).await?;
            if long.started.prompt_tokens <= short.started.prompt_tokens {
                return Objection::fail("four messages have no more tokens than the last of them alone");
            }
            Ok(())
        })
        .await;
    repetition(bench).await;
    probabilities(bench).await;
}

async fn repetition(bench: &mut Bench<'_>) {
    bench
        .check("a greedy reply is the same again, whatever the seed", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            if !chat.honours(ChatParameter::Temperature) {
                return Objection::skip("the model doesn't honour `temperature`");
            }
            let mut other = plain(chat, SOME);
            other.sampling.seed = 7;
            let (one, two) = (session.reply(plain(chat, SOME)).await?, session.reply(other).await?);
            same_text(&one.text, &two.text)
        })
        .await;
    bench
        .check("equal seeds give equal replies", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            if !chat.honours(ChatParameter::Seed) {
                return Objection::skip("the model doesn't honour `seed`");
            }
            for seed in [0, u64::MAX] {
                let mut request = plain(chat, SOME);
                request.sampling.temperature = chat.honours(ChatParameter::Temperature).then_some(1.0);
                request.sampling.seed = seed;
                let (one, two) = (session.reply(request.clone()).await?, session.reply(request).await?);
                same_text(&one.text, &two.text)?;
            }
            Ok(())
        })
        .await;
    bench
        .check("texts and token ids are continued", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            if !chat.honours(ChatParameter::Completion) {
                return Objection::skip("the model doesn't honour completions");
            }
            let ids = some_ids(session).await?;
            for prompt in [Prompt::Text("Once upon a time".into()), Prompt::TokenIds(ids)] {
                let request = ChatRequest {
                    prompt,
                    ..plain(chat, SOME)
                };
                session.reply(request).await?;
            }
            // Out of the vocabulary: refused, not a crash.
            let request = ChatRequest {
                prompt: Prompt::TokenIds(vec![chat.vocabulary]),
                ..plain(chat, SOME)
            };
            Outcome::of(&session.client, request).await.refused()?;
            session.still_works().await
        })
        .await;
}

async fn probabilities(bench: &mut Bench<'_>) {
    bench
        .check(
            "log probabilities are natural ones, likeliest first, of the text's own tokens",
            async |bench| {
                let session = bench.session().await?;
                let chat = session.chatting()?;
                if !chat.honours(ChatParameter::Logprobs) {
                    return Objection::skip("the model doesn't honour `logprobs`");
                }
                for top in [0, chat.max_top_logprobs.min(3)] {
                    let request = ChatRequest {
                        top_logprobs: Some(top),
                        ..plain(chat, SOME)
                    };
                    logprobs(session, request, top as usize).await?;
                }
                Ok(())
            },
        )
        .await;
    bench
        .check("logit_bias forbids tokens", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            if !chat.honours(ChatParameter::LogitBias) || !chat.honours(ChatParameter::Logprobs) {
                return Objection::skip("the model doesn't honour `logit_bias` and `logprobs`");
            }
            let mut request = plain(chat, SOME);
            request.top_logprobs = Some(0);
            let ids = |logprobs: &[crate::TokenLogprob]| logprobs.iter().map(|one| one.chosen.id).collect::<Vec<_>>();
            let free = ids(&session.reply(request.clone()).await?.logprobs);
            request.sampling.logit_bias = free.iter().map(|&id| (id, -100.0)).collect();
            let bound = ids(&session.reply(request).await?.logprobs);
            match bound.iter().find(|id| free.contains(id)) {
                Some(id) => Objection::fail(format!("token {id} came all the same")),
                None => Ok(()),
            }
        })
        .await;
}

/// Ids that stand for words: those of the model's own, if it tells them.
async fn some_ids(session: &Session) -> Result<Vec<u32>, Objection> {
    let chat = session.chatting()?;
    if !chat.honours(ChatParameter::Logprobs) {
        return Ok(vec![chat.vocabulary / 2, chat.vocabulary / 3]);
    }
    let request = ChatRequest {
        top_logprobs: Some(0),
        ..plain(chat, SOME)
    };
    let ids = session
        .reply(request)
        .await?
        .logprobs
        .into_iter()
        .map(|one| one.chosen.id);
    Ok(ids.chain([chat.vocabulary / 2]).take(SOME as usize).collect())
}

async fn stops(session: &Session) -> Verdict {
    let chat = session.chatting()?;
    if !is_repeatable(chat) {
        return Objection::skip("the model's replies are never the same");
    }
    let whole = session.reply(plain(chat, SOME)).await?.text;
    let characters: Vec<char> = whole.chars().collect();
    if characters.len() < 6 {
        return Objection::skip("the model's reply is too short to tell");
    }
    // Long ones lie across tokens, and so do their beginnings.
    for (start, length) in [
        (characters.len() / 2, 1),
        (characters.len() / 2, 3),
        (characters.len() / 3, 4),
    ] {
        let stop: String = characters.iter().skip(start).take(length).collect();
        if stop.contains(char::REPLACEMENT_CHARACTER) {
            continue;
        }
        let request = ChatRequest {
            stop: vec!["\u{1}never said".into(), stop.clone()],
            ..plain(chat, SOME)
        };
        let cut = session.reply(request).await?;
        if cut.text.contains(&stop) {
            return Objection::fail(format!("{:?} has the stop string {stop:?} in it", cut.text));
        }
        if cut.finished.reason != FinishReason::Stop {
            return Objection::fail(format!("ended by {stop:?} it says {:?}", cut.finished.reason));
        }
        let before = whole.split(&stop).next().unwrap_or_default();
        if before.trim_end() != cut.text.trim_end() {
            return Objection::fail(format!("ended by {stop:?} it says {:?}, not {before:?}", cut.text));
        }
    }
    Ok(())
}

async fn logprobs(session: &Session, request: ChatRequest, top: usize) -> Verdict {
    let greedy = request.sampling.temperature == Some(0.0);
    let whole = session.reply(request).await?;
    if whole.logprobs.is_empty() && !whole.text.is_empty() {
        return Objection::fail("there are none");
    }
    let mut bytes = Vec::new();
    for one in &whole.logprobs {
        bytes.extend_from_slice(&one.chosen.token);
        if one.top.len() != top {
            return Objection::fail(format!("{} others were asked for, {} came", top, one.top.len()));
        }
        if one.top.windows(2).any(|pair| pair[0].logprob < pair[1].logprob) {
            return Objection::fail("the likeliest is not the first");
        }
        let sum: f32 = one.top.iter().map(|other| other.logprob.exp()).sum();
        if sum > 1.0 + ROUNDING {
            return Objection::fail(format!("probabilities have a sum of {sum}"));
        }
        if let Some(first) = one.top.first()
            && greedy
            && (first.logprob - one.chosen.logprob).abs() > ROUNDING
        {
            let (first, chosen) = (first.logprob, one.chosen.logprob);
            return Objection::fail(format!("a greedy token has {chosen}, the likeliest {first}"));
        }
    }
    // Bytes that are no whole character yet are in no text; how many of them one U+FFFD stands for is a matter of taste.
    let spelt = String::from_utf8_lossy(&bytes);
    let text = whole.text.split(char::REPLACEMENT_CHARACTER).next().unwrap_or_default();
    if !spelt.trim_start().starts_with(text.trim()) {
        return Objection::fail(format!("tokens spell {spelt:?}, the text is {:?}", whole.text));
    }
    Ok(())
}

fn same_text(one: &str, two: &str) -> Verdict {
    if one != two {
        return Objection::fail(format!("first {one:?}, then {two:?}"));
    }
    Ok(())
}

/// A prompt of certainly more tokens than the context, if that is a length one can send.
pub(super) fn too_long(chat: &ChatCapabilities) -> Option<ChatRequest> {
    let words = (1..=1 << 20)
        .contains(&chat.context_length)
        .then_some(chat.context_length as usize + 1)?;
    Some(asking(chat, &"circle ".repeat(words), 1))
}
