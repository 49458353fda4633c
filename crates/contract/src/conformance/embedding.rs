//! What comes back from Embed: vectors of the right shape, in order, the same every time.

use super::bench::Bench;
use super::check::{Objection, cosine, same_direction};
use super::samples;
use crate::{EmbedInput, Modality};

/// Least cosine of the vectors of one input in different company. Rounding differs with
/// the shape of a matrix product; a mistake with padding or order does far worse.
const ALIKE: f64 = 0.999;

/// Different inputs are told apart by this much at least.
const DIFFERENT: f64 = 0.999_99;

pub(super) async fn check(bench: &mut Bench<'_>) {
    for (name, modality) in [
        (
            "texts become vectors of the stated width, finite, with norm 1",
            Modality::Text,
        ),
        (
            "images become vectors of the stated width, finite, with norm 1",
            Modality::Image,
        ),
    ] {
        bench
            .check(name, async |bench| {
                let session = bench.session().await?;
                let embed = session.embedding()?;
                let Some(input) = samples::of_kind(embed, modality, 0) else {
                    return Objection::skip("the model doesn't read them");
                };
                let tokens = session.embed_one(input).await?.tokens;
                if modality == Modality::Text && tokens == 0 {
                    return Objection::fail("the text took 0 tokens");
                }
                Ok(())
            })
            .await;
    }
    bench
        .check("token ids become vectors too", async |bench| {
            let session = bench.session().await?;
            let embed = session.embedding()?;
            if !embed.token_ids {
                return Objection::skip("the model doesn't read them");
            }
            session.embed_one(EmbedInput::token_ids(vec![5, 6, 7], true)).await?;
            // Out of any vocabulary: an error of the item or of the caller, not a crash.
            let wild = EmbedInput::token_ids(vec![u32::MAX], true);
            super::faults::not_the_instances_fault(session, vec![wild]).await
        })
        .await;
    comparisons(bench).await;
}

async fn comparisons(bench: &mut Bench<'_>) {
    bench
        .check(
            "different inputs have different vectors, in the order of the inputs",
            async |bench| {
                let session = bench.session().await?;
                let inputs = session.samples()?;
                if inputs.len() < 2 {
                    return Objection::skip("the model takes one input a call");
                }
                let forwards = session.embed(inputs.clone()).await?;
                let backwards = session.embed(inputs.into_iter().rev().collect()).await?;
                for (there, back) in forwards.iter().zip(backwards.iter().rev()) {
                    same_direction(there, back, ALIKE)?;
                }
                for (i, a) in forwards.iter().enumerate() {
                    if let Some(j) = forwards[..i].iter().position(|b| cosine(a, b) > DIFFERENT) {
                        return Objection::fail(format!("inputs {j} and {i} have the same vector"));
                    }
                }
                Ok(())
            },
        )
        .await;
    bench
        .check("an input has the same vector alone and in a batch", async |bench| {
            let session = bench.session().await?;
            let inputs = session.samples()?;
            let together = session.embed(inputs.clone()).await?;
            for (input, in_company) in inputs.into_iter().zip(&together) {
                same_direction(&session.embed_one(input).await?, in_company, ALIKE)?;
            }
            Ok(())
        })
        .await;
    bench
        .check("the same batch gives the same vectors again", async |bench| {
            let session = bench.session().await?;
            let first = session.embed(session.samples()?).await?;
            let second = session.embed(session.samples()?).await?;
            first
                .iter()
                .zip(&second)
                .try_for_each(|(a, b)| same_direction(a, b, DIFFERENT))
        })
        .await;
    bench
        .check("Health's progress grows with the work done", async |bench| {
            let session = bench.session().await?;
            let before = session.client.health().await?.progress;
            session.embed(session.samples()?).await?;
            let after = session.client.health().await?;
            if after.progress <= before {
                return Objection::fail(format!("progress is {before} before and {} after", after.progress));
            }
            if after.running != 0 {
                return Objection::fail(format!("{} calls are said to run where none does", after.running));
            }
            Ok(())
        })
        .await;
}
