//! Where a model that makes images puts them.

use tokio::sync::mpsc;

use super::event::{ImageDone, ImageEvent, ImagePreview, ImageStarted, ImageStep};
use super::request::ImageRequest;
use crate::reply::{Gone, Held, Reply};
use crate::{CallContext, PluginError, Refused, RgbImage};
use std::sync::Arc;

/// Steps that wait for the host to read them; while they do, others are left out.
const STEPS: usize = 32;

/// What of a reply comes once: `Started`, and `Finished` or an error.
const ONCE: usize = 2;

/// The way back of one image request. Dropping it before it has finished, refused or failed tells the host that the
/// instance failed.
///
/// Nothing here waits, so that one thread can serve many requests: there is room for every event that the
/// request asks for, and steps are left out while the host reads slowly.
#[derive(Debug)]
pub struct ImageReply {
    reply: Reply<ImageEvent>,
    /// Events that must find room: all but steps.
    reserved: usize,
}

// === impl ImageReply ===

impl ImageReply {
    /// The reply to a request, and where its events come out; `context` says when nobody waits for it any more and
    /// counts its progress.
    pub fn new(
        request: &ImageRequest,
        context: CallContext,
    ) -> (Self, mpsc::Receiver<Result<ImageEvent, PluginError>>) {
        let reserved = ONCE + request.seeds.len() * (1 + request.previews as usize);
        let (sender, events) = mpsc::channel(reserved + STEPS);
        let reply = Reply::new(sender, context);
        (Self { reply, reserved }, events)
    }

    /// Keeps `held` alive until the reply is dropped.
    pub(crate) fn holding(self, held: Arc<dyn Held>) -> Self {
        Self {
            reply: self.reply.holding(held),
            ..self
        }
    }

    /// The prompts have been read. First of all.
    ///
    /// # Errors
    /// If nobody waits for the reply any more: the work is to end.
    pub fn started(&self, started: ImageStarted) -> Result<(), Gone> {
        self.reply.put_now(ImageEvent::Started(started))
    }

    /// So many of the call's denoise steps are done; counts as progress.
    ///
    /// # Errors
    /// If nobody waits for the reply any more: the work is to end.
    pub fn step(&self, done: u32, total: u32) -> Result<(), Gone> {
        if self.reply.is_cancelled() {
            return Err(Gone);
        }
        if self.reply.room() > self.reserved {
            return self.reply.put_now(ImageEvent::Step(ImageStep { done, total }));
        }
        self.reply.tick();
        Ok(())
    }

    /// What image `index` looks like so far, for the `number`th time from 0.
    ///
    /// # Errors
    /// If nobody waits for the reply any more: the work is to end.
    pub fn preview(&self, index: u32, number: u32, image: RgbImage) -> Result<(), Gone> {
        let preview = ImagePreview { index, number, image };
        self.reply.put_now(ImageEvent::Preview(preview))
    }

    /// Image `index` is done.
    ///
    /// # Errors
    /// If nobody waits for the reply any more: the work is to end.
    pub fn image(&self, index: u32, image: RgbImage) -> Result<(), Gone> {
        self.reply.put_now(ImageEvent::Image(ImageDone { index, image }))
    }

    /// All images are done.
    pub fn finish(self) {
        // If nobody waits for it, nobody is to be told.
        let _ = self.reply.put_now(ImageEvent::Finished);
    }

    /// The request can't be served, and it is the caller's fault. Instead of all else.
    pub fn refuse(self, refused: Refused) {
        let _ = self.reply.put_now(ImageEvent::Refused(refused));
    }

    /// Ends the reply with an error.
    pub fn fail(self, error: PluginError) {
        self.reply.fail_now(error);
    }

    /// True once nobody waits for the reply any more. Looked at between denoise steps.
    pub fn is_cancelled(&self) -> bool {
        self.reply.is_cancelled()
    }

    /// Resolves once nobody waits for the reply any more.
    pub async fn cancelled(&self) {
        self.reply.cancelled().await;
    }

    /// Tells the host that as much work as a denoise step is done: an image decoded, a prompt encoded.
    pub fn tick(&self) {
        self.reply.tick();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ImageRequest {
        ImageRequest {
            previews: 3,
            ..ImageRequest::new("a star", (1, 1), 1000, vec![1, 2])
        }
    }

    #[test]
    fn steps_never_take_the_room_of_images() {
        let (reply, mut events) = ImageReply::new(&request(), CallContext::default());
        let pixel = || RgbImage::new(1, 1, vec![0; 3]).unwrap();
        reply.started(ImageStarted::default()).unwrap();
        for step in 0..500 {
            reply.step(step, 1000).unwrap();
        }
        for index in 0..2 {
            (0..3).for_each(|number| reply.preview(index, number, pixel()).unwrap());
            reply.image(index, pixel()).unwrap();
        }
        reply.finish();
        let mut seen = Vec::new();
        while let Ok(event) = events.try_recv() {
            seen.push(event.unwrap());
        }
        let steps = seen.iter().filter(|event| matches!(event, ImageEvent::Step(_))).count();
        assert!((1..=STEPS).contains(&steps), "{steps}");
        assert_eq!(seen.len() - steps, ONCE + 2 * 4);
        assert_eq!(seen.last(), Some(&ImageEvent::Finished));
    }

    #[test]
    fn a_reply_that_nobody_reads_says_so() {
        let (reply, events) = ImageReply::new(&request(), CallContext::default());
        drop(events);
        assert!(reply.is_cancelled());
        assert_eq!(reply.step(1, 2), Err(Gone));
        assert_eq!(reply.started(ImageStarted::default()), Err(Gone));
    }
}
