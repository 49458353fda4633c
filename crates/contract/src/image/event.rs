//! What comes back from a model that makes images.

use crate::{ImageRequest, Invalid, Refused, RgbImage};

/// What comes back, in this order: `Started`, then steps, previews and images, then `Finished`; or `Refused` alone.
#[derive(Debug, Clone, PartialEq)]
pub enum ImageEvent {
    /// The request is not refused any more.
    Started(ImageStarted),
    /// A denoise step is done.
    Step(ImageStep),
    /// What an image looks like so far.
    Preview(ImagePreview),
    /// An image is done.
    Image(ImageDone),
    /// All are.
    Finished,
    /// The request can't be served, and it is the caller's fault.
    Refused(Refused),
}

/// What the prompts came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageStarted {
    /// Tokens of both prompts, as they were read, special tokens included.
    pub prompt_tokens: u32,
    /// True if one of them was cut to the context.
    pub truncated: bool,
}

/// How far a call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageStep {
    /// Denoise steps done.
    pub done: u32,
    /// Denoise steps in all; at least `done`.
    pub total: u32,
}

/// What an image looks like so far: the decoded estimate of it without noise.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePreview {
    /// Which image: its seed's place.
    pub index: u32,
    /// From 0, one after another.
    pub number: u32,
    /// Pixels, of the size that was asked for.
    pub image: RgbImage,
}

/// An image that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageDone {
    /// Which image: its seed's place.
    pub index: u32,
    /// Pixels, of the size that was asked for.
    pub image: RgbImage,
}

/// What of a reply is still to come. Neither end lets anything else through.
#[derive(Debug)]
pub struct ImageExpected {
    width: u32,
    height: u32,
    previews: u32,
    /// Of each image the number of its next preview; `None` once it is done.
    next: Vec<Option<u32>>,
    /// Steps that have been reported.
    done: u32,
}

// === impl ImageExpected ===

impl ImageExpected {
    /// All that `request` asks for.
    pub(crate) fn of(request: &ImageRequest) -> Self {
        Self {
            width: request.width,
            height: request.height,
            previews: request.previews,
            next: vec![Some(0); request.seeds.len()],
            done: 0,
        }
    }

    /// Takes an event off it.
    ///
    /// # Errors
    /// If it is none of those that are still to come.
    pub(crate) fn take(&mut self, event: &ImageEvent) -> Result<(), Invalid> {
        match event {
            ImageEvent::Started(_) | ImageEvent::Refused(_) => Ok(()),
            ImageEvent::Step(step) if step.done > step.total || step.done < self.done => Err(Invalid::new(
                "step",
                format!(
                    "{} of {} comes after step {}; steps only grow",
                    step.done, step.total, self.done
                ),
            )),
            ImageEvent::Step(step) => {
                self.done = step.done;
                Ok(())
            }
            ImageEvent::Preview(preview) => {
                let previews = self.previews;
                match self.open("preview", preview.index, &preview.image)? {
                    Some(number) if *number == preview.number && preview.number < previews => {
                        *number += 1;
                        Ok(())
                    }
                    _ => Err(Invalid::new(
                        "preview.number",
                        format!(
                            "is {}, of {previews} that are asked for; they come one after another",
                            preview.number
                        ),
                    )),
                }
            }
            ImageEvent::Image(done) => {
                *self.open("image", done.index, &done.image)? = None;
                Ok(())
            }
            ImageEvent::Finished => match self.next.iter().position(Option::is_some) {
                Some(index) => Err(Invalid::new("finished", format!("comes before image {index} is done"))),
                None => Ok(()),
            },
        }
    }

    /// The place of an image that isn't done.
    fn open(&mut self, field: &'static str, index: u32, image: &RgbImage) -> Result<&mut Option<u32>, Invalid> {
        let (width, height) = (self.width, self.height);
        if (image.width(), image.height()) != (width, height) {
            let actual = format!("{}×{}", image.width(), image.height());
            let problem = format!("is {actual} pixels where {width}×{height} are asked for");
            return Err(Invalid::new(field, problem));
        }
        let place = self.next.get_mut(index as usize);
        place.filter(|next| next.is_some()).ok_or_else(|| {
            Invalid::new(
                field,
                format!("has the index {index}, which is done or was not asked for"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> ImageRequest {
        ImageRequest {
            previews: 2,
            ..ImageRequest::new("a star", (2, 1), 4, vec![1, 2])
        }
    }

    fn pixels(width: u32) -> RgbImage {
        RgbImage::new(width, 1, vec![7; width as usize * 3]).unwrap()
    }

    fn image(index: u32) -> ImageEvent {
        ImageEvent::Image(ImageDone {
            index,
            image: pixels(2),
        })
    }

    fn preview(index: u32, number: u32) -> ImageEvent {
        ImageEvent::Preview(ImagePreview {
            index,
            number,
            image: pixels(2),
        })
    }

    fn step(done: u32) -> ImageEvent {
        ImageEvent::Step(ImageStep { done, total: 4 })
    }

    /// The field that the last of the events breaks.
    fn broken(events: &[ImageEvent]) -> Option<&'static str> {
        let mut expected = ImageExpected::of(&request());
        let mut results = events.iter().map(|event| expected.take(event));
        results.find_map(|result| result.err()).map(|invalid| invalid.field)
    }

    #[test]
    fn a_whole_reply_is_let_through() {
        let whole = [
            step(1),
            preview(0, 0),
            preview(1, 0),
            step(3),
            preview(0, 1),
            image(1),
            step(4),
            image(0),
        ];
        assert_eq!(broken(&whole), None);
        assert_eq!(broken(&[image(0), image(1), ImageEvent::Finished]), None);
    }

    #[test]
    fn nothing_else_is() {
        let check = |field, events: &[ImageEvent]| assert_eq!(broken(events), Some(field), "{events:?}");
        check("step", &[step(5)]);
        check("step", &[step(2), step(1)]);
        check("preview.number", &[preview(0, 1)]);
        check("preview.number", &[preview(0, 0), preview(0, 0)]);
        check("preview.number", &[preview(0, 0), preview(0, 1), preview(0, 2)]);
        check("preview", &[preview(2, 0)]);
        check("preview", &[image(0), preview(0, 0)]);
        check("image", &[image(0), image(0)]);
        check("image", &[image(2)]);
        let image_of_another_size = ImageEvent::Image(ImageDone {
            index: 0,
            image: pixels(3),
        });
        check("image", &[image_of_another_size]);
        check("finished", &[image(1), ImageEvent::Finished]);
    }
}
