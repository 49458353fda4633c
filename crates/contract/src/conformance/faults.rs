//! Bad input: told apart from the good, blamed on its sender, and never the end of the process.

use super::bench::{Bench, Session};
use super::check::{Objection, Verdict, refused, same_direction};
use super::samples;
use crate::client::CallError;
use crate::{EmbedInput, Fault, ItemErrorCode, Modality, RgbImage};

/// Larger batches than this are not tried.
const LARGEST_BATCH: u32 = 4096;

pub(super) async fn check(bench: &mut Bench<'_>) {
    long_texts(bench).await;
    batches(bench).await;
    bench
        .check(
            "an image of another size is refused, and not as the instance's fault",
            async |bench| {
                let session = bench.session().await?;
                let Some(spec) = session.embedding()?.image else {
                    return Objection::skip("the model doesn't read images");
                };
                for (width, height) in [(spec.width + 1, spec.height), (1, 1), (spec.height + 3, spec.width + 2)] {
                    let Some(image) = samples::image(width, height, 0) else {
                        continue;
                    };
                    let result = session
                        .client
                        .embed(vec![image], session.embedding()?.width, None)
                        .await;
                    match result.as_ref().map(|results| results.first()) {
                        Ok(Some(Err(_))) => {}
                        _ => refused(result, Fault::Caller)?,
                    }
                }
                session.still_works().await
            },
        )
        .await;
    bench
        .check(
            "an input of a kind that is not listed is refused, and not as the instance's fault",
            async |bench| {
                let session = bench.session().await?;
                let embed = session.embedding()?;
                let input = if !embed.reads(Modality::Text) {
                    EmbedInput::text("a red circle", true)
                } else if !embed.reads(Modality::Image) {
                    EmbedInput::image(RgbImage::new(8, 8, vec![127; 8 * 8 * 3])?)
                } else if !embed.token_ids {
                    EmbedInput::token_ids(vec![1, 2], true)
                } else {
                    return Objection::skip("the model reads every kind");
                };
                match session.client.embed(vec![input], embed.width, None).await {
                    Ok(results) if results.iter().any(Result::is_err) => {}
                    result => refused(result, Fault::Caller)?,
                }
                session.still_works().await
            },
        )
        .await;
    bench
        .check("hostile texts are never the instance's fault", async |bench| {
            let session = bench.session().await?;
            if !session.embedding()?.reads(Modality::Text) {
                return Objection::skip("the model doesn't read text");
            }
            let mut texts: Vec<String> = samples::HOSTILE_TEXTS.map(String::from).into();
            texts.extend(["x".repeat(1 << 20), "🦀 ".repeat(1 << 16), "a ".repeat(1 << 17)]);
            for text in texts {
                not_the_instances_fault(session, vec![EmbedInput::text(text, true)]).await?;
            }
            session.still_works().await
        })
        .await;
}

async fn long_texts(bench: &mut Bench<'_>) {
    bench
        .check(
            "with truncate, a text longer than the context is cut, and the result says so",
            async |bench| {
                let session = bench.session().await?;
                let Some(text) = samples::too_long(session.embedding()?.context_length, true) else {
                    return Objection::skip("the model has no bounded context");
                };
                let embedding = session.embed_one(text).await?;
                if !embedding.truncated {
                    return Objection::fail("`truncated` is false");
                }
                let limit = session.embedding()?.context_length;
                if embedding.tokens > limit {
                    return Objection::fail(format!("{} tokens were read, more than {limit}", embedding.tokens));
                }
                let short = session.embed_one(EmbedInput::text("circle", true)).await?;
                if short.truncated {
                    return Objection::fail("`truncated` is true of a text of one word");
                }
                Ok(())
            },
        )
        .await;
    bench
        .check(
            "without truncate it fails with CONTEXT_LENGTH, and its neighbours do not",
            async |bench| {
                let session = bench.session().await?;
                let embed = session.embedding()?;
                let Some(text) = samples::too_long(embed.context_length, false) else {
                    return Objection::skip("the model has no bounded context");
                };
                let good = EmbedInput::text("a red circle", true);
                let mut batch = vec![good.clone(), text, good.clone()];
                if session.capabilities.max_batch < 3 {
                    batch = vec![batch.swap_remove(1)];
                }
                let at = batch.len() / 2;
                let results = session.client.embed(batch, embed.width, None).await?;
                match results.get(at) {
                    Some(Err(error)) if error.code == ItemErrorCode::ContextLength => {}
                    other => return Objection::fail(format!("the result is {other:?}")),
                }
                let alone = session.embed_one(good).await?;
                for neighbour in results
                    .into_iter()
                    .enumerate()
                    .filter(|(i, _)| *i != at)
                    .map(|(_, result)| result)
                {
                    same_direction(&neighbour?, &alone, 0.999)?;
                }
                Ok(())
            },
        )
        .await;
}

async fn batches(bench: &mut Bench<'_>) {
    bench
        .check("an empty batch is INVALID_ARGUMENT", async |bench| {
            let session = bench.session().await?;
            refused(
                session.client.embed(Vec::new(), session.embedding()?.width, None).await,
                Fault::Caller,
            )
        })
        .await;
    bench
        .check(
            "a batch of max_batch is computed, one more is INVALID_ARGUMENT",
            async |bench| {
                let session = bench.session().await?;
                let max_batch = session.capabilities.max_batch;
                let samples = session.samples()?;
                if max_batch > LARGEST_BATCH {
                    return Objection::skip(format!("max_batch is {max_batch}"));
                }
                let mut inputs: Vec<EmbedInput> = samples.iter().cycle().take(max_batch as usize).cloned().collect();
                session.embed(inputs.clone()).await?;
                inputs.extend(samples.first().cloned());
                refused(
                    session.client.embed(inputs, session.embedding()?.width, None).await,
                    Fault::Caller,
                )?;
                session.still_works().await
            },
        )
        .await;
}

/// Demands a result, or an error that is the item's, the caller's or the model's.
pub(super) async fn not_the_instances_fault(session: &Session, inputs: Vec<EmbedInput>) -> Verdict {
    let shown = format!("{:.60?}", inputs.first().map(|input| &input.payload));
    match session.client.embed(inputs, session.embedding()?.width, None).await {
        Ok(_) => Ok(()),
        Err(CallError::Plugin(error)) if error.fault != Fault::Instance => Ok(()),
        Err(error) => Objection::fail(format!("{shown}: {error}")),
    }
}
