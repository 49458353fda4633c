//! A call under way: what it is at, and what it reports.

use sensorium_contract::{Gone, ImageReply, ImageStarted, RgbImage};
use tch::Tensor;

use crate::pipeline::{Denoising, Pipeline};

/// A call under way.
pub(super) struct Active {
    pub(super) reply: ImageReply,
    pub(super) denoising: Denoising,
    pub(super) phase: Phase,
    /// When it last had a turn, in turns.
    pub(super) turn: u64,
    /// Steps after which there are previews, and how many there have been.
    previews: Vec<usize>,
    shown: usize,
    reported: usize,
}

/// What a call's next turn is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// A pass of the UNet.
    Denoise,
    /// A preview of this image.
    Preview(usize),
    /// This image, decoded.
    Decode(usize),
    /// Nothing: the reply is whole.
    Done,
}

// === impl Active ===

impl Active {
    /// Says that the work begins.
    ///
    /// # Errors
    /// If nobody waits for the reply any more.
    pub(super) fn start(reply: ImageReply, denoising: Denoising, previews: u32, turn: u64) -> Result<Self, Gone> {
        let (tokens, truncated) = denoising.prompt_tokens();
        reply.started(ImageStarted {
            prompt_tokens: tokens as u32,
            truncated,
        })?;
        let (_, total) = denoising.steps();
        Ok(Self {
            reply,
            denoising,
            phase: Phase::Denoise,
            turn,
            previews: preview_steps(total, previews as usize),
            shown: 0,
            reported: 0,
        })
    }

    /// Reports the pass that has been made, and says what comes next.
    ///
    /// # Errors
    /// If nobody waits for the reply any more.
    pub(super) fn advanced(&mut self) -> Result<(), Gone> {
        let (done, total) = self.denoising.steps();
        if done > self.reported {
            self.reported = done;
            self.reply.step(done as u32, total as u32)?;
        }
        self.phase = match () {
            () if self.denoising.is_done() => Phase::Decode(0),
            () if self.previews.get(self.shown).is_some_and(|step| *step <= done) => Phase::Preview(0),
            () => Phase::Denoise,
        };
        Ok(())
    }

    /// Decodes one image, preview or final, and says what comes next.
    ///
    /// # Errors
    /// If nobody waits for the reply any more.
    pub(super) fn decode(&mut self, pipeline: &Pipeline) -> Result<(), Gone> {
        let images = self.denoising.images();
        match self.phase {
            Phase::Preview(image) => {
                let pixels = pixels(&pipeline.decode(&self.denoising.estimate(image)));
                self.reply.preview(image as u32, self.shown as u32, pixels)?;
                self.phase = match image + 1 < images {
                    true => Phase::Preview(image + 1),
                    false => Phase::Denoise,
                };
                self.shown += usize::from(image + 1 == images);
            }
            Phase::Decode(image) => {
                let pixels = pixels(&pipeline.decode(&self.denoising.latents(image)));
                self.reply.image(image as u32, pixels)?;
                self.phase = match image + 1 < images {
                    true => Phase::Decode(image + 1),
                    false => Phase::Done,
                };
            }
            Phase::Denoise | Phase::Done => {}
        }
        self.reply.tick();
        Ok(())
    }
}

/// `[1, h, w, 3]` of bytes as the contract has images.
fn pixels(image: &Tensor) -> RgbImage {
    let size = image.size();
    let bytes = Vec::<u8>::try_from(image.flatten(0, -1)).expect("bytes on the CPU");
    RgbImage::new(size[2] as u32, size[1] as u32, bytes).expect("an image of the size that was asked for")
}

/// After which of `total` steps there are `count` previews: evenly spaced, before the last, no step twice.
fn preview_steps(total: usize, count: usize) -> Vec<usize> {
    let mut steps: Vec<usize> = (1..=count).map(|number| number * total / (count + 1)).collect();
    steps.retain(|step| (1..total).contains(step));
    steps.dedup();
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_are_evenly_spaced_before_the_end() {
        for (total, count, steps) in [
            (20, 3, &[5, 10, 15][..]),
            (20, 0, &[]),
            (4, 3, &[1, 2, 3]),
            (3, 3, &[1, 2]),
            (1, 3, &[]),
            (50, 1, &[25]),
        ] {
            assert_eq!(preview_steps(total, count), steps, "{total} {count}");
        }
    }
}
