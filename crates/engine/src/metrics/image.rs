//! How fast images are made, in denoise steps.

use std::time::Instant;

use prometheus::{Histogram, IntCounter};
use sensorium_contract::{ImageEvent, ImageStarted, ImageStep};

use super::families::Families;
use super::labels::ModelLabel;
use super::reply::Meter;

/// Most steps of one event that are measured one by one; more come together only if the host was slow to read.
const MEASURED: u32 = 64;

/// Measures the making of one request's images.
#[derive(Debug)]
pub(crate) struct ImageMeter {
    prompt_tokens: IntCounter,
    images: IntCounter,
    steps: IntCounter,
    step_seconds: Histogram,
    done: u32,
    /// When the last step came; `None` if there has been none, or nobody looked.
    last: Option<Instant>,
}

// === impl ImageMeter ===

impl ImageMeter {
    pub(super) fn new(families: &Families, label: &ModelLabel) -> Self {
        let values = &label.values();
        Self {
            prompt_tokens: families.prompt_tokens.with_label_values(values),
            images: families.generated_images.with_label_values(values),
            steps: families.denoise_steps.with_label_values(values),
            step_seconds: families.denoise_step_seconds.with_label_values(values),
            done: 0,
            last: None,
        }
    }

    fn step(&mut self, step: ImageStep) {
        let now = Instant::now();
        let new = step.done.saturating_sub(self.done);
        if let (Some(last), true) = (self.last, new > 0) {
            let each = (now - last).as_secs_f64() / f64::from(new);
            (0..new.min(MEASURED)).for_each(|_| self.step_seconds.observe(each));
        }
        self.steps.inc_by(new.into());
        self.done = step.done;
        self.last = Some(now);
    }
}

impl Meter<ImageEvent> for ImageMeter {
    fn started(&mut self, started: ImageStarted) {
        self.prompt_tokens.inc_by(started.prompt_tokens.into());
    }

    fn see(&mut self, event: &ImageEvent) {
        match event {
            ImageEvent::Step(step) => self.step(*step),
            ImageEvent::Image(_) => self.images.inc(),
            ImageEvent::Started(_) | ImageEvent::Preview(_) | ImageEvent::Finished | ImageEvent::Refused(_) => {}
        }
    }

    fn pause(&mut self) {
        self.last = None;
    }
}
