//! From a task to the latents that its first step takes.

use tch::{Kind, Tensor};

use super::{
    Denoising, ImageTask, InitTask, NoiseSource, Pipeline, Refusal,
    denoising::{Guidance, Keep},
};
use crate::{nn::sinusoid, noise::Stream, schedulers::Scheduler};

/// The guidance scale is multiplied by this before it is embedded.
const GUIDANCE_SCALE_UNIT: f64 = 1000.0;

/// What begins with an image: the first pass, the latents, what is kept.
struct Begun {
    first: usize,
    steps: usize,
    latents: Tensor,
    keep: Option<Keep>,
}

// === impl Pipeline ===

impl Pipeline {
    /// Reads the prompts, encodes the image if there is one, and makes the first latents.
    ///
    /// # Errors
    /// If the task can't be done.
    pub fn begin(&self, task: &ImageTask, noise: Box<dyn NoiseSource>) -> Result<Denoising, Refusal> {
        let refuse_scheduler = |error: crate::LoadError| Refusal::new("scheduler", format!("scheduler: {error}"));
        let config = self.scheduler_of(task.scheduler).map_err(refuse_scheduler)?;
        let scheduler = config
            .build(task.steps)
            .map_err(|problem| Refusal::new("steps", format!("steps: {problem}")))?;
        self.active_loras.set(&task.loras);
        let guidance = self.guidance(task);
        let prompts = self.prompts(task, matches!(guidance, Guidance::Pair(_)))?;
        let begun = tch::no_grad(|| self.first_latents(task, scheduler.as_ref(), noise.as_ref()))?;
        Ok(Denoising {
            latents: begun.latents,
            estimate: None,
            next: begun.first,
            first: begun.first,
            steps: begun.steps,
            scheduler,
            prompts,
            guidance,
            loras: task.loras.clone(),
            keep: begun.keep,
            seen: tch::no_grad(|| self.seen(task, noise.as_ref())),
            sizes: self.sizes(task),
            noise,
        })
    }

    fn guidance(&self, task: &ImageTask) -> Guidance {
        match self.unet_config.guidance_embedding {
            Some(width) => {
                let scale = Tensor::from_slice(&[(task.guidance_scale - 1.0) * GUIDANCE_SCALE_UNIT]);
                let embedding = sinusoid(&scale, width, false, 1.0);
                Guidance::Embedded(embedding.to_kind(self.target.kind).to_device(self.target.device))
            }
            None if task.guidance_scale > 1.0 => Guidance::Pair(task.guidance_scale),
            None => Guidance::None,
        }
    }

    /// Channels, height and width of one image's latents.
    fn latent_shape(&self, task: &ImageTask) -> [i64; 3] {
        let reduction = self.vae_config.reduction();
        [
            self.vae_config.latent_channels,
            task.height / reduction,
            task.width / reduction,
        ]
    }

    fn first_latents(
        &self,
        task: &ImageTask,
        scheduler: &dyn Scheduler,
        source: &dyn NoiseSource,
    ) -> Result<Begun, Refusal> {
        let noise = source
            .draw(Stream::Initial, &self.latent_shape(task))
            .to_device(self.target.device);
        let Some(init) = &task.init else {
            return Ok(Begun {
                first: 0,
                steps: task.steps,
                latents: noise * scheduler.initial_sigma(),
                keep: None,
            });
        };
        // As many steps as the strength has whole ones of.
        let done = ((task.steps as f64 * init.strength) as usize).min(task.steps);
        let first = (task.steps - done) * scheduler.order();
        if done == 0 {
            let message = format!("strength {} leaves none of {} steps to do", init.strength, task.steps);
            return Err(Refusal::new("strength", message));
        }
        let clean = self.encode(&init.pixels, Stream::Encoding, source);
        let from_noise = init.mask.is_some() && init.strength >= 1.0;
        let latents = match from_noise {
            true => &noise * scheduler.initial_sigma(),
            false => scheduler.add_noise(first, &clean, &noise),
        };
        let keep = init.mask.as_ref().filter(|_| !self.sees_mask()).map(|mask| Keep {
            mask: self.latent_mask(task, mask),
            clean,
            noise,
        });
        Ok(Begun {
            first,
            steps: done,
            latents,
            keep,
        })
    }

    /// True if the UNet sees the mask and the masked image.
    fn sees_mask(&self) -> bool {
        self.unet_config.in_channels != self.vae_config.latent_channels
    }

    /// The mask and the masked image for a UNet that sees them; without a mask everything is painted.
    fn seen(&self, task: &ImageTask, source: &dyn NoiseSource) -> Option<Tensor> {
        if !self.sees_mask() {
            return None;
        }
        let (height, width) = (task.height, task.width);
        let float = (Kind::Float, tch::Device::Cpu);
        let (pixels, mask) = match &task.init {
            Some(InitTask {
                pixels,
                mask: Some(mask),
                ..
            }) => (pixels * mask.lt(0.5), mask.shallow_clone()),
            _ => (
                Tensor::zeros([1, 3, height, width], float),
                Tensor::ones([1, 1, height, width], float),
            ),
        };
        let masked = self.encode(&pixels, Stream::MaskedEncoding, source);
        let mask = self
            .latent_mask(task, &mask)
            .expand([masked.size()[0], -1, -1, -1], false);
        Some(Tensor::cat(&[mask, masked], 1))
    }

    /// A mask of pixels as one of latents: each takes that of its first pixel.
    fn latent_mask(&self, task: &ImageTask, mask: &Tensor) -> Tensor {
        let [_, height, width] = self.latent_shape(task);
        mask.upsample_nearest2d([height, width], None, None)
            .to_device(self.target.device)
    }

    /// Pixels to a sample of the distribution of their latents, one for each image of the task, f32.
    fn encode(&self, pixels: &Tensor, stream: Stream, source: &dyn NoiseSource) -> Tensor {
        let pixels = pixels.to_device(self.vae_target.device).to_kind(self.vae_target.kind);
        let (mean, deviation) = self.vae.encode(&pixels);
        let (mean, deviation) = (mean.to_kind(Kind::Float), deviation.to_kind(Kind::Float));
        let noise = source.draw(stream, &mean.size()[1..]).to_device(mean.device());
        self.vae.scale(&(mean + deviation * noise))
    }

    /// SDXL is told the size of the image that it should think it was cut from: this one, uncut.
    fn sizes(&self, task: &ImageTask) -> Option<Tensor> {
        self.unet_config.added?;
        let (height, width) = (task.height as f32, task.width as f32);
        let sizes = Tensor::from_slice(&[height, width, 0.0, 0.0, height, width]);
        Some(sizes.unsqueeze(0).to_device(self.target.device))
    }
}
