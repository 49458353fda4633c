//! Several requests at once, requests that are called off, images that nobody reads.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::request::{in_steps, plain};
use super::whole::{Outcome, Whole, alike};
use crate::client::{CallError, ImageCall};
use crate::conformance::bench::{Bench, Session};
use crate::conformance::check::{Objection, Verdict};
use crate::{ImageEvent, ImageParameter, ImageRequest};

/// "At once", on a machine that is busy with the model itself: so long may a denoise step take.
const AT_ONCE: Duration = Duration::from_secs(10);

/// Most requests that are made at once.
const MANY: u32 = 8;

/// Steps of a request that takes a while.
const LONG: u32 = 50;

/// What rounding in another batch may change, in levels on average.
const ROUNDING: f64 = 1.0;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check(
            "as many requests for images at once as the model says all come to their end",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining()?;
                let mut all = JoinSet::new();
                for seed in 0..session.capabilities.max_batch.min(MANY) {
                    let (client, request) = (session.client.clone(), plain(image, &[seed.into()]));
                    all.spawn(async move { Outcome::of(&client, request).await });
                }
                while let Some(one) = all.join_next().await {
                    match one {
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
            "Health answers at once while images are made, and its progress grows",
            async |bench| {
                let session = bench.session().await?;
                session.grows_during(AT_ONCE, session.imagine(long(session)?)).await?;
                quiet(session).await
            },
        )
        .await;
    called_off(bench).await;
    together(bench).await;
}

async fn called_off(bench: &mut Bench<'_>) {
    bench
        .check(
            "a request for images that is called off ends soon, and does not harm the next",
            async |bench| {
                let session = bench.session().await?;
                let alone = session.imagine(plain(session.imagining()?, &[7])).await?;
                for patience in [0, 1, 10] {
                    let work = session.imagine(long(session)?);
                    // Done or not: the future is dropped here.
                    let _ = tokio::time::timeout(Duration::from_millis(patience), work).await;
                    quiet(session).await?;
                    next_is(session, &alone).await?;
                }
                let mut call = begin(session, long(session)?).await?;
                call.next().await?;
                drop(call);
                quiet(session).await?;
                next_is(session, &alone).await
            },
        )
        .await;
    bench
        .check(
            "a request for images whose deadline passes does not harm the next",
            async |bench| {
                let session = bench.session().await?;
                let alone = session.imagine(plain(session.imagining()?, &[7])).await?;
                for micros in [500, 5_000, 50_000] {
                    let deadline = Instant::now() + Duration::from_micros(micros);
                    let outcome = match session.client.imagine(long(session)?, Some(deadline)).await {
                        Ok(call) => Outcome::read(call, 1).await,
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
            },
        )
        .await;
}

async fn together(bench: &mut Bench<'_>) {
    bench
        .check("images that nobody reads hold up no others", async |bench| {
            let session = bench.session().await?;
            let others = session.capabilities.max_batch.min(MANY) - 1;
            if others == 0 {
                return Objection::skip("the model takes one request at a time");
            }
            let mut unread = Vec::new();
            for _ in 0..others {
                unread.push(begin(session, plain(session.imagining()?, &[1])).await?);
            }
            session.imagine(plain(session.imagining()?, &[1])).await?;
            for call in unread {
                Outcome::read(call, 1).await.finished()?;
            }
            Ok(())
        })
        .await;
    bench
        .check(
            "requests of different sizes make their steps side by side",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining()?;
                if session.capabilities.max_batch < 2 {
                    return Objection::skip("the model takes one request at a time");
                }
                if !image.honours(ImageParameter::Steps) || image.min_side == image.default_width {
                    return Objection::skip("the model makes one size, or takes as many steps as it likes");
                }
                let first = begin(session, long(session)?).await?;
                let small = ImageRequest {
                    width: image.min_side,
                    height: image.min_side,
                    ..plain(image, &[1])
                };
                let (steps, of_first) = (small.steps, steps_until_done(first));
                let second = async {
                    let call = begin(session, small).await?;
                    steps_until_done(call).await
                };
                // Whichever ends first drops the other: a few steps need not wait for many.
                tokio::select! {
                    biased;
                    done = second => done.map(|_| ()),
                    done = of_first => {
                        let before = done?;
                        if before < 2 * steps {
                            return Objection::skip("the model is too fast to tell");
                        }
                        Objection::fail(format!("{steps} small steps came after {before} large ones"))
                    }
                }
            },
        )
        .await;
}

/// Reads a call to its end; the steps that it took.
async fn steps_until_done(mut call: ImageCall) -> Result<u32, Objection> {
    let mut steps = 0;
    while let Some(event) = call.next().await? {
        if let ImageEvent::Step(step) = event {
            steps = step.done;
        }
    }
    Ok(steps)
}

/// A request that takes a while.
fn long(session: &Session) -> Result<ImageRequest, Objection> {
    Ok(in_steps(session.imagining()?, &[1], LONG))
}

/// A call that has started.
async fn begin(session: &Session, request: ImageRequest) -> Result<ImageCall, Objection> {
    let mut call = session.client.imagine(request, None).await?;
    match call.next().await? {
        Some(ImageEvent::Started(_)) => Ok(call),
        other => Objection::fail(format!("the first event is {other:?}")),
    }
}

async fn next_is(session: &Session, alone: &Whole) -> Verdict {
    let image = session.imagining()?;
    let next = session.imagine(plain(image, &[7])).await?;
    if image.honours(ImageParameter::Seed) {
        alike(&next.images[0], &alone.images[0], ROUNDING)?;
    }
    Ok(())
}

/// Waits until nothing runs.
async fn quiet(session: &Session) -> Verdict {
    session.quiet(AT_ONCE).await
}
