//! The images of one request, and the rules that hold of all of them.

use crate::client::{CallError, ImageCall, PluginClient};
use crate::conformance::bench::Session;
use crate::conformance::check::{Objection, Verdict};
use crate::{
    Fault, ImageCapabilities, ImageEvent, ImageParameter, ImageRequest, ImageStarted, ImageStep, Refused, RgbImage,
};

/// All that one request came to.
#[derive(Debug, Clone)]
pub(in crate::conformance) struct Whole {
    pub(super) started: ImageStarted,
    pub(super) steps: Vec<ImageStep>,
    /// How many previews there were of each image.
    pub(super) previews: Vec<u32>,
    pub(super) images: Vec<RgbImage>,
}

/// What a request can come to.
#[derive(Debug)]
pub(in crate::conformance) enum Outcome {
    Finished(Whole),
    Refused(Refused),
    Failed(CallError),
}

// === impl Session ===

impl Session {
    /// Which images it makes.
    pub(super) fn imagining(&self) -> Result<&ImageCapabilities, Objection> {
        self.capabilities
            .image
            .as_ref()
            .ok_or_else(|| Objection::Skip("the model makes no images".into()))
    }

    /// The same, if it honours something.
    pub(super) fn imagining_with(&self, parameter: ImageParameter) -> Result<&ImageCapabilities, Objection> {
        let image = self.imagining()?;
        if image.honours(parameter) {
            return Ok(image);
        }
        Objection::skip(format!("the model doesn't honour {parameter:?}"))
    }

    /// The images of a request that is good.
    pub(in crate::conformance) async fn imagine(&self, request: ImageRequest) -> Result<Whole, Objection> {
        let context = self.imagining()?.context_length;
        let prompts = 1 + u32::from(request.negative_prompt.is_some());
        let whole = Outcome::of(&self.client, request).await.finished()?;
        let tokens = whole.started.prompt_tokens;
        if tokens == 0 || tokens > context.saturating_mul(prompts) {
            return Objection::fail(format!("the prompts have {tokens} tokens"));
        }
        Ok(whole)
    }
}

// === impl Outcome ===

impl Outcome {
    /// What a request comes to.
    pub(in crate::conformance) async fn of(client: &PluginClient, request: ImageRequest) -> Self {
        let count = request.seeds.len();
        match client.imagine(request, None).await {
            Ok(call) => Self::read(call, count).await,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// What a call for so many images comes to. The client lets nothing through that is out of order, of another size,
    /// or more than was asked for.
    pub(super) async fn read(mut call: ImageCall, count: usize) -> Self {
        let mut started = ImageStarted::default();
        let (mut steps, mut previews) = (Vec::new(), vec![0; count]);
        let mut images: Vec<Option<RgbImage>> = vec![None; count];
        loop {
            match call.next().await {
                Ok(Some(ImageEvent::Started(event))) => started = event,
                Ok(Some(ImageEvent::Step(step))) => steps.push(step),
                Ok(Some(ImageEvent::Preview(preview))) => previews[preview.index as usize] += 1,
                Ok(Some(ImageEvent::Image(done))) => images[done.index as usize] = Some(done.image),
                Ok(Some(ImageEvent::Refused(refused))) => return Outcome::Refused(refused),
                Ok(Some(ImageEvent::Finished)) => {
                    return Outcome::Finished(Whole {
                        started,
                        steps,
                        previews,
                        images: images.into_iter().flatten().collect(),
                    });
                }
                Ok(None) => return Outcome::Failed(CallError::Cancelled),
                Err(error) => return Outcome::Failed(error),
            }
        }
    }

    /// The images, if there are any.
    pub(super) fn finished(self) -> Result<Whole, Objection> {
        match self {
            Outcome::Finished(whole) => Ok(whole),
            Outcome::Refused(refused) => Objection::fail(format!("a good request was refused: {refused}")),
            Outcome::Failed(error) => Err(error.into()),
        }
    }

    /// Demands images, or an error that is the caller's or the model's.
    pub(super) fn not_the_instances_fault(self, shown: &str) -> Verdict {
        match self {
            Outcome::Finished(_) | Outcome::Refused(_) => Ok(()),
            Outcome::Failed(CallError::Plugin(error)) if error.fault != Fault::Instance => Ok(()),
            Outcome::Failed(error) => Objection::fail(format!("{shown}: {error}")),
        }
    }
}

/// Demands that two images are the same but for rounding: no more than `most` levels apart on average.
pub(super) fn alike(a: &RgbImage, b: &RgbImage, most: f64) -> Verdict {
    let apart = apart(a, b);
    if apart > most {
        return Objection::fail(format!("the two images are {apart:.2} levels apart, more than {most}"));
    }
    Ok(())
}

/// Mean distance of two images of one size, in levels.
pub(super) fn apart(a: &RgbImage, b: &RgbImage) -> f64 {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let sum: u64 = a.iter().zip(b).map(|(x, y)| u64::from(x.abs_diff(*y))).sum();
    sum as f64 / a.len().max(1) as f64
}
