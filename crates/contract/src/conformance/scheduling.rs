//! Several things at once: health while it computes, two calls, calls that are called off.

use std::time::{Duration, Instant};

use super::bench::{Bench, Session};
use super::check::{Objection, same_direction};
use crate::client::CallError;
use crate::{EmbedInput, Embedding};

/// "At once", on a machine that is busy with the model itself.
const AT_ONCE: Duration = Duration::from_secs(5);

/// Largest batch that a check keeps a model busy with.
const BUSY: usize = 32;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check("Health answers at once while the model computes", async |bench| {
            let session = bench.session().await?;
            let work = session.embed(busy(session)?);
            tokio::pin!(work);
            loop {
                let health = tokio::time::timeout(AT_ONCE, session.client.health());
                tokio::select! {
                    biased;
                    health = health => match health {
                        Ok(health) => { health?; }
                        Err(_) => return Objection::fail(format!("no answer within {AT_ONCE:?}")),
                    },
                    done = &mut work => return done.map(|_| ()),
                }
                // The first branch is ready more often than not: the work must get its turn.
                if let Ok(done) = tokio::time::timeout(Duration::from_millis(1), &mut work).await {
                    return done.map(|_| ());
                }
            }
        })
        .await;
    bench
        .check("two calls at once both succeed", async |bench| {
            let session = bench.session().await?;
            let inputs = session.samples()?;
            let alone = session.embed(inputs.clone()).await?;
            let (one, two) = tokio::join!(session.embed(inputs.clone()), session.embed(inputs));
            alike(&alone, &one?)?;
            alike(&alone, &two?)
        })
        .await;
    bench
        .check("a cancelled call does not harm the next", async |bench| {
            let session = bench.session().await?;
            let alone = session.embed(session.samples()?).await?;
            for patience in [0, 1, 3, 10] {
                let call = session.embed(busy(session)?);
                // Done or not: the future is dropped here.
                let _ = tokio::time::timeout(Duration::from_millis(patience), call).await;
                alike(&alone, &session.embed(session.samples()?).await?)?;
            }
            Ok(())
        })
        .await;
    bench
        .check("a call whose deadline passes does not harm the next", async |bench| {
            let session = bench.session().await?;
            let alone = session.embed(session.samples()?).await?;
            let deadline = Instant::now() + Duration::from_micros(500);
            match session
                .client
                .embed(busy(session)?, session.embedding()?.width, Some(deadline))
                .await
            {
                Ok(_) | Err(CallError::Deadline) => {}
                Err(error) => return Objection::fail(format!("not DEADLINE_EXCEEDED: {error}")),
            }
            alike(&alone, &session.embed(session.samples()?).await?)
        })
        .await;
}

/// A batch that takes a while.
fn busy(session: &Session) -> Result<Vec<EmbedInput>, Objection> {
    let size = BUSY.min(session.capabilities.max_batch as usize);
    Ok(session.samples()?.into_iter().cycle().take(size).collect())
}

fn alike(a: &[Embedding], b: &[Embedding]) -> Result<(), Objection> {
    a.iter().zip(b).try_for_each(|(a, b)| same_direction(a, b, 0.999))
}
