//! A model that makes images without weights: what is to be seen follows from a hash of what was asked.
//!
//! Equal requests have equal images, whatever runs beside them. An init image shines through by its strength, or stays
//! as it was where its mask says so. A prompt may tell it to misbehave, after so many steps: see [`crate::order`].

mod options;
mod paint;

use std::sync::Arc;

use sensorium_contract::{ImageReply, ImageRequest, ImageStarted, Imagine, PluginError, RefusalCode, Refused};

pub(crate) use self::options::ImageOptions;
use self::paint::Canvas;
use crate::conduct::{Conduct, End};

/// Begin and end of text.
const SPECIAL_TOKENS: u32 = 2;

/// A model that makes images.
pub(crate) struct ImageModel {
    shared: Arc<Shared>,
}

struct Shared {
    options: ImageOptions,
    conduct: Conduct,
}

// === impl ImageModel ===

impl ImageModel {
    pub(crate) fn new(options: ImageOptions, allow_misbehaviour: bool) -> Self {
        let shared = Shared {
            options,
            conduct: Conduct::new(allow_misbehaviour, "prompt"),
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl Drop for ImageModel {
    fn drop(&mut self) {
        self.shared.conduct.end();
    }
}

impl Imagine for ImageModel {
    fn imagine(&self, request: ImageRequest, reply: ImageReply) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            match shared.make(&request, &reply).await {
                Ok(()) => reply.finish(),
                Err(End::Gone | End::Dropped) => {}
                Err(End::Refused(refused)) => reply.refuse(refused),
                Err(End::Failed(error)) => reply.fail(error),
            }
        });
    }
}

// === impl Shared ===

impl Shared {
    async fn make(&self, request: &ImageRequest, reply: &ImageReply) -> Result<(), End> {
        let order = self.conduct.order(&request.prompt);
        self.conduct.obey(order.as_ref(), None, reply).await?;
        self.conduct.work(self.options.prompt_latency, reply).await?;
        reply.started(self.read(request)?)?;
        let canvas = Canvas::new(request);
        let total = canvas.steps();
        let mut previews = 0;
        for done in 1..=total {
            self.conduct.obey(order.as_ref(), Some(done - 1), reply).await?;
            self.conduct.work(self.options.step_latency, reply).await?;
            reply.step(done, total)?;
            if is_previewed(done, total, request.previews) {
                for index in 0..request.seeds.len() {
                    let image = canvas.paint(index, done as f32 / total as f32);
                    reply.preview(index as u32, previews, image.ok_or_else(lost)?)?;
                }
                previews += 1;
            }
        }
        self.conduct.obey(order.as_ref(), Some(total), reply).await?;
        for index in 0..request.seeds.len() {
            self.conduct.work(self.options.decode_latency, reply).await?;
            reply.image(index as u32, canvas.image(index).ok_or_else(lost)?)?;
        }
        Ok(())
    }

    /// Counts the words of both prompts.
    fn read(&self, request: &ImageRequest) -> Result<ImageStarted, Refused> {
        let most = self.options.context_length;
        let mut started = ImageStarted::default();
        let prompts = [
            ("prompt", Some(&request.prompt)),
            ("negative_prompt", request.negative_prompt.as_ref()),
        ];
        for (field, text) in prompts {
            let Some(text) = text else { continue };
            let words = u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX);
            let tokens = words.saturating_add(SPECIAL_TOKENS);
            if tokens > most && !request.truncate {
                return Err(Refused {
                    code: RefusalCode::ContextLength,
                    message: format!("the {field} has {tokens} tokens; this model reads {most}"),
                    field: field.into(),
                });
            }
            started.truncated |= tokens > most;
            started.prompt_tokens += tokens.min(most);
        }
        Ok(started)
    }
}

/// True after those steps, before the last, that divide all of them into `previews` + 1 parts.
fn is_previewed(done: u32, total: u32, previews: u32) -> bool {
    let passed = |steps: u32| u64::from(steps) * u64::from(previews + 1) / u64::from(total);
    previews > 0 && done < total && passed(done) > passed(done - 1)
}

/// The request's own size and seeds are always drawn.
fn lost() -> End {
    End::Failed(PluginError::instance("a picture could not be drawn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_evenly_spaced_and_before_the_last_step() {
        for (total, previews, expected) in [
            (8, 3, vec![2, 4, 6]),
            (20, 3, vec![5, 10, 15]),
            (50, 1, vec![25]),
            (2, 3, vec![1]),
            (1, 3, vec![]),
            (10, 0, vec![]),
        ] {
            let steps: Vec<u32> = (1..=total)
                .filter(|&done| is_previewed(done, total, previews))
                .collect();
            assert_eq!(steps, expected, "{previews} of {total}");
        }
    }
}
