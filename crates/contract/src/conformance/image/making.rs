//! What is asked for is what is made.

use super::request::{from_image, in_steps, plain};
use super::whole::{alike, apart};
use crate::conformance::bench::Bench;
use crate::conformance::check::Objection;
use crate::{ImageParameter, ImageRequest, LoraWeight};

/// What rounding in another batch may change, in levels on average.
const ROUNDING: f64 = 1.0;

/// Steps of a request with previews.
const PREVIEWED: u32 = 8;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check(
            "each seed has its image, in the size that was asked for",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining()?;
                let seeds: Vec<u64> = (1..=u64::from(image.max_images.min(3))).collect();
                // The client has counted and measured them.
                session.imagine(plain(image, &seeds)).await.map(|_| ())
            },
        )
        .await;
    bench
        .check(
            "equal seeds have equal images, whatever is made beside them",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining_with(ImageParameter::Seed)?;
                let alone = session.imagine(plain(image, &[7])).await?;
                let again = session.imagine(plain(image, &[7])).await?;
                alike(&alone.images[0], &again.images[0], ROUNDING)?;
                let other = session.imagine(plain(image, &[8])).await?;
                if apart(&alone.images[0], &other.images[0]) == 0.0 {
                    return Objection::fail("another seed has the same image");
                }
                if image.max_images > 1 {
                    let both = session.imagine(plain(image, &[8, 7])).await?;
                    alike(&alone.images[0], &both.images[1], ROUNDING)?;
                }
                Ok(())
            },
        )
        .await;
    bench
        .check("steps are counted up to as many as were asked for", async |bench| {
            let session = bench.session().await?;
            let request = plain(session.imagining()?, &[1]);
            let steps = request.steps;
            let whole = session.imagine(request).await?;
            match whole.steps.last() {
                Some(last) if (last.done, last.total) == (steps, steps) => Ok(()),
                last => Objection::fail(format!("the last of {steps} is {last:?}")),
            }
        })
        .await;
    bench
        .check(
            "as many previews come as were asked for, and none unasked",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining_with(ImageParameter::Previews)?;
                let plainly = session.imagine(in_steps(image, &[1], PREVIEWED)).await?;
                if plainly.previews != [0] {
                    return Objection::fail(format!("{:?} came unasked", plainly.previews));
                }
                let request = ImageRequest {
                    previews: 3,
                    ..in_steps(image, &[1], PREVIEWED)
                };
                let expected = 3.min(request.steps - 1);
                let whole = session.imagine(request).await?;
                if whole.previews != [expected] {
                    return Objection::fail(format!("{:?} came of {expected}", whole.previews));
                }
                alike(&plainly.images[0], &whole.images[0], ROUNDING)
            },
        )
        .await;
    every_name(bench).await;
}

async fn every_name(bench: &mut Bench<'_>) {
    bench
        .check("every scheduler and every LoRA that is listed works", async |bench| {
            let session = bench.session().await?;
            let image = session.imagining()?;
            if image.honours(ImageParameter::Scheduler) {
                for name in &image.schedulers {
                    let request = ImageRequest {
                        scheduler: Some(name.clone()),
                        ..plain(image, &[1])
                    };
                    session.imagine(request).await?;
                }
            }
            for name in &image.loras {
                let lora = LoraWeight {
                    name: name.clone(),
                    weight: 0.5,
                };
                let request = ImageRequest {
                    loras: vec![lora],
                    ..plain(image, &[1])
                };
                session.imagine(request).await?;
            }
            Ok(())
        })
        .await;
    bench
        .check("the smallest size is made", async |bench| {
            let session = bench.session().await?;
            let image = session.imagining()?;
            let request = ImageRequest {
                width: image.min_side,
                height: image.min_side,
                ..plain(image, &[1])
            };
            session.imagine(request).await.map(|_| ())
        })
        .await;
    bench
        .check("guidance and a negative prompt are taken", async |bench| {
            let session = bench.session().await?;
            let image = session.imagining()?;
            let mut request = plain(image, &[1]);
            request.guidance_scale = image.honours(ImageParameter::GuidanceScale).then_some(2.5);
            let negative = image.honours(ImageParameter::NegativePrompt);
            request.negative_prompt = negative.then(|| "a blue square".into());
            if (request.guidance_scale, &request.negative_prompt) == (None, &None) {
                return Objection::skip("the model honours neither");
            }
            session.imagine(request).await.map(|_| ())
        })
        .await;
}

pub(super) async fn from_images(bench: &mut Bench<'_>) {
    bench
        .check(
            "an image can be made from an image, in no more steps than were asked for",
            async |bench| {
                let session = bench.session().await?;
                let image = session.imagining_with(ImageParameter::Image)?;
                let Some(request) = from_image(image, false) else {
                    return Objection::skip("there is no image of that size");
                };
                let steps = request.steps;
                let whole = session.imagine(request).await?;
                match whole.steps.last() {
                    Some(last) if last.done == last.total && last.total <= steps => Ok(()),
                    last => Objection::fail(format!("the last of {steps} is {last:?}")),
                }
            },
        )
        .await;
    bench
        .check("a part of an image can be painted anew", async |bench| {
            let session = bench.session().await?;
            let image = session.imagining_with(ImageParameter::Mask)?;
            let Some(request) = from_image(image, true) else {
                return Objection::skip("there is no image of that size");
            };
            session.imagine(request).await.map(|_| ())
        })
        .await;
}
