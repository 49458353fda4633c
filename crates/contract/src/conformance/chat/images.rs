//! Images in a conversation: read in the sizes that the model asks for, refused in others.

use super::request::showing;
use super::whole::Outcome;
use crate::conformance::bench::{Bench, Session};
use crate::conformance::check::{Objection, Verdict};
use crate::conformance::samples;
use crate::{ChatImages, ChatParameter, ResizeMode, RgbImage};

/// Tokens of a reply.
const FEW: u32 = 8;

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check(
            "an image is read, and so are as many as the model says",
            async |bench| {
                let session = bench.session().await?;
                let chat = session.chatting()?;
                let images = reads(session)?;
                let sizes = good_sizes(images);
                for &size in &sizes {
                    let whole = session.reply(showing(chat, vec![image(size, 0)?], FEW)).await?;
                    if whole.started.image_tokens == 0 {
                        return Objection::fail(format!("an image of {size:?} pixels is no token"));
                    }
                }
                let one = session
                    .reply(showing(chat, vec![image(sizes[0], 0)?], FEW))
                    .await?
                    .started;
                let two = vec![image(sizes[0], 0)?, image(sizes[0], 1)?];
                if images.max_images > 1 {
                    let two = session.reply(showing(chat, two, FEW)).await?.started;
                    if two.image_tokens <= one.image_tokens {
                        return Objection::fail("two images are no more tokens than one");
                    }
                }
                Ok(())
            },
        )
        .await;
    bench
        .check("the same image after another is read as it is", async |bench| {
            let session = bench.session().await?;
            let chat = session.chatting()?;
            let images = reads(session)?;
            if !chat.honours(ChatParameter::Temperature) {
                return Objection::skip("the model doesn't honour `temperature`");
            }
            let ResizeMode::Fit = images.spec.mode else {
                return Objection::skip("all images have one size");
            };
            // Equal bytes in another shape, which a cache must tell apart.
            let (long, short) = (images.spec.width, images.spec.height.min(images.spec.width) / 2);
            let side = images.min_side.max(short);
            let shapes = [
                (side, long.min(images.spec.height)),
                (long.min(images.spec.height), side),
            ];
            let alone = session.reply(showing(chat, vec![grey(shapes[0])?], FEW)).await?;
            session.reply(showing(chat, vec![grey(shapes[1])?], FEW)).await?;
            let again = session.reply(showing(chat, vec![grey(shapes[0])?], FEW)).await?;
            if (alone.text.as_str(), alone.started) != (again.text.as_str(), again.started) {
                return Objection::fail(format!("first {:?}, then {:?}", alone.text, again.text));
            }
            Ok(())
        })
        .await;
    bench
        .check(
            "images that the model can't read are refused, and never the instance's fault",
            async |bench| {
                let session = bench.session().await?;
                bad_images(session).await?;
                session.still_works().await
            },
        )
        .await;
}

async fn bad_images(session: &Session) -> Verdict {
    let chat = session.chatting()?;
    if !chat.honours(ChatParameter::Conversation) {
        return Objection::skip("the model has no chat template");
    }
    let Some(images) = chat.images else {
        let request = showing(chat, vec![image((8, 8), 0)?], FEW);
        return Outcome::of(&session.client, request).await.refused();
    };
    let (width, height) = (images.spec.width, images.spec.height);
    for size in [(width + 1, height), (width, height + 1)] {
        let Ok(image) = image(size, 0) else { continue };
        let request = showing(chat, vec![image], FEW);
        Outcome::of(&session.client, request).await.refused()?;
    }
    if images.max_images < 64 {
        let small = image(good_sizes(images)[0], 0)?;
        let many = vec![small; images.max_images as usize + 1];
        Outcome::of(&session.client, showing(chat, many, FEW)).await.refused()?;
    }
    // Thin ones come of fitting long ones; some models can't read them, and say so.
    if images.spec.mode == ResizeMode::Fit {
        for size in [(1, 1), (width, 1), (1, height), (2, 3)] {
            let request = showing(chat, vec![image(size, 0)?], FEW);
            let shown = format!("{}×{} pixels", size.0, size.1);
            Outcome::of(&session.client, request)
                .await
                .not_the_instances_fault(&shown)?;
        }
    }
    Ok(())
}

fn reads(session: &Session) -> Result<ChatImages, Objection> {
    session
        .chatting()?
        .images
        .ok_or_else(|| Objection::Skip("the model doesn't read images".into()))
}

/// Sizes that the model must read, small ones first.
fn good_sizes(images: ChatImages) -> Vec<(u32, u32)> {
    let (width, height) = (images.spec.width, images.spec.height);
    match images.spec.mode {
        ResizeMode::Squash | ResizeMode::ShortestEdgeCrop { .. } => vec![(width, height)],
        ResizeMode::Fit => {
            let (half, third) = ((width / 2).max(1), (height / 3).max(1));
            let small = (
                half.max(images.min_side).min(width),
                third.max(images.min_side).min(height),
            );
            vec![small, (width, height)]
        }
    }
}

fn image((width, height): (u32, u32), variant: usize) -> Result<RgbImage, Objection> {
    samples::pixels(width, height, variant).ok_or_else(|| Objection::Skip("images of that size can't be made".into()))
}

fn grey((width, height): (u32, u32)) -> Result<RgbImage, Objection> {
    Ok(RgbImage::new(
        width,
        height,
        vec![99; width as usize * height as usize * 3],
    )?)
}
