//! Requests that are bad: refused as their sender's fault, and never the end of the process.

use super::request::{from_image, plain};
use super::whole::Outcome;
use crate::conformance::bench::Bench;
use crate::conformance::check::{Objection, refused};
use crate::conformance::samples;
use crate::{Fault, ImageRequest, RefusalCode};

pub(super) async fn check(bench: &mut Bench<'_>) {
    long_prompts(bench).await;
    bench
        .check("what is not listed is INVALID_ARGUMENT", async |bench| {
            let session = bench.session().await?;
            let image = session.imagining()?;
            let plain = || plain(image, &[1]);
            let too_many: Vec<u64> = (0..=u64::from(image.max_images)).collect();
            let mut requests = vec![
                ImageRequest {
                    scheduler: Some("NoSuchScheduler".into()),
                    ..plain()
                },
                ImageRequest {
                    width: image.max_side + image.side_multiple,
                    ..plain()
                },
                ImageRequest {
                    steps: image.max_steps + 1,
                    ..plain()
                },
            ];
            if too_many.len() <= crate::MAX_IMAGES {
                requests.push(ImageRequest {
                    seeds: too_many,
                    ..plain()
                });
            }
            if image.side_multiple > 1 {
                requests.push(ImageRequest {
                    height: image.default_height + 1,
                    ..plain()
                });
            }
            for request in requests {
                refused(session.client.imagine(request, None).await, Fault::Caller)?;
            }
            session.still_works().await
        })
        .await;
    bench
        .check("an image of another size is INVALID_ARGUMENT", async |bench| {
            let session = bench.session().await?;
            let image = session.imagining_with(crate::ImageParameter::Image)?;
            let (Some(mut request), Some(pixels)) = (from_image(image, false), samples::pixels(3, 5, 0)) else {
                return Objection::skip("there is no image of that size");
            };
            if let Some(init) = &mut request.init {
                init.image = pixels;
            }
            refused(session.client.imagine(request, None).await, Fault::Caller)?;
            session.still_works().await
        })
        .await;
    bench
        .check(
            "hostile prompts for images are never the instance's fault",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining()?;
                let mut texts: Vec<String> = samples::HOSTILE_TEXTS.map(String::from).into();
                texts.extend(samples::HOSTILE_PROMPTS.map(String::from));
                texts.extend(["x".repeat(1 << 20), "🦀 ".repeat(1 << 16)]);
                for prompt in texts {
                    let shown = format!("{prompt:.60?}");
                    let request = ImageRequest {
                        prompt,
                        ..plain(image, &[1])
                    };
                    Outcome::of(&session.client, request)
                        .await
                        .not_the_instances_fault(&shown)?;
                }
                session.still_works().await
            },
        )
        .await;
}

async fn long_prompts(bench: &mut Bench<'_>) {
    bench
        .check(
            "a prompt longer than the context is cut, or refused with CONTEXT_LENGTH",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining()?;
                if image.context_length > 1 << 16 {
                    return Objection::skip("the context is long");
                }
                let long = |truncate| ImageRequest {
                    prompt: "circle ".repeat(image.context_length as usize + 1),
                    truncate,
                    ..plain(image, &[1])
                };
                if !session.imagine(long(true)).await?.started.truncated {
                    return Objection::fail("`truncated` is false");
                }
                if session.imagine(plain(image, &[1])).await?.started.truncated {
                    return Objection::fail("`truncated` is true of a prompt of three words");
                }
                match Outcome::of(&session.client, long(false)).await {
                    Outcome::Refused(refused) if refused.code == RefusalCode::ContextLength => {}
                    other => return Objection::fail(format!("it comes to {other:?}")),
                }
                session.still_works().await
            },
        )
        .await;
}
