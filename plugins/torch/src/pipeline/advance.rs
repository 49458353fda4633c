//! One pass of the UNet for every image of some tasks, and the sampler's step after it.

use tch::{Kind, Tensor};

use super::{Denoising, Pipeline, denoising::Guidance, prompt::Prompt};
use crate::{
    noise::Stream,
    unet::{Added, UnetInput},
};

/// One row of the UNet's batch.
struct Row<'a> {
    sample: Tensor,
    timestep: f32,
    prompt: &'a Prompt,
    guidance: Option<&'a Tensor>,
    sizes: Option<&'a Tensor>,
}

// === impl Pipeline ===

impl Pipeline {
    /// One pass for each of these tasks, which go with one another ([`Denoising::goes_with`]) and are not done. `tick` is
    /// called after each pass of the UNet.
    pub fn advance(&self, tasks: &mut [&mut Denoising], tick: &dyn Fn()) {
        let Some(first) = tasks.first() else { return };
        self.active_loras.set(&first.loras);
        tch::no_grad(|| {
            let outputs = self.predict(tasks, tick);
            for (task, output) in tasks.iter_mut().zip(outputs) {
                task.step(&output);
            }
        });
    }

    /// The guided prediction for each task, `[images, channels, h, w]` of f32.
    fn predict(&self, tasks: &[&mut Denoising], tick: &dyn Fn()) -> Vec<Tensor> {
        let inputs: Vec<Tensor> = tasks.iter().map(|task| task.input(self.target.kind)).collect();
        let images: Vec<(usize, i64)> = tasks
            .iter()
            .enumerate()
            .flat_map(|(at, task)| (0..task.images() as i64).map(move |image| (at, image)))
            .collect();
        let mut outputs: Vec<Vec<Tensor>> = tasks.iter().map(|_| Vec::new()).collect();
        for chunk in images.chunks(self.images_per_pass) {
            let mut rows = Vec::new();
            for (at, image) in chunk {
                rows.extend(tasks[*at].rows(&inputs[*at].narrow(0, *image, 1)));
            }
            let made = self.pass(&rows);
            let mut row = 0;
            for (at, _) in chunk {
                let guided = tasks[*at].guide(&made, &mut row);
                outputs[*at].push(guided);
            }
            tick();
        }
        outputs.into_iter().map(|rows| Tensor::cat(&rows, 0)).collect()
    }

    /// One pass of the UNet, f32.
    fn pass(&self, rows: &[Row<'_>]) -> Tensor {
        let gather = |of: &dyn Fn(&Row<'_>) -> Option<Tensor>| {
            let all: Option<Vec<Tensor>> = rows.iter().map(of).collect();
            all.map(|all| Tensor::cat(&all, 0))
        };
        let states: Vec<&Tensor> = rows.iter().map(|row| &row.prompt.states).collect();
        let samples: Vec<&Tensor> = rows.iter().map(|row| &row.sample).collect();
        let timesteps: Vec<f32> = rows.iter().map(|row| row.timestep).collect();
        let pooled = gather(&|row| row.prompt.pooled_row(self.target.kind));
        let sizes = gather(&|row| row.sizes.map(Tensor::shallow_clone));
        let guidance = gather(&|row| row.guidance.map(Tensor::shallow_clone));
        let added = pooled.as_ref().zip(sizes.as_ref());
        let output = self.unet.forward(&UnetInput {
            sample: &Tensor::cat(&samples, 0),
            timesteps: &Tensor::from_slice(&timesteps).to_device(self.target.device),
            context: &Tensor::cat(&states, 0),
            added: added.map(|(pooled, sizes)| Added { pooled, sizes }),
            guidance: guidance.as_ref(),
        });
        output.to_kind(Kind::Float)
    }
}

// === impl Denoising ===

impl Denoising {
    /// The UNet's input without guidance's second rows, in its format.
    fn input(&self, kind: Kind) -> Tensor {
        let scaled = self.scheduler.scale_input(self.next, &self.latents);
        match &self.seen {
            Some(seen) => Tensor::cat(&[&scaled, seen], 1).to_kind(kind),
            None => scaled.to_kind(kind),
        }
    }

    /// The rows of one image, the negative prompt's first.
    fn rows(&self, sample: &Tensor) -> Vec<Row<'_>> {
        let guidance = match &self.guidance {
            Guidance::Embedded(embedding) => Some(embedding),
            Guidance::None | Guidance::Pair(_) => None,
        };
        let prompts = self.prompts.negative.iter().chain([&self.prompts.positive]);
        prompts
            .map(|prompt| Row {
                sample: sample.shallow_clone(),
                timestep: self.scheduler.timesteps()[self.next] as f32,
                prompt,
                guidance,
                sizes: self.sizes.as_ref(),
            })
            .collect()
    }

    /// The prediction for one image from its rows, which begin at `row`.
    fn guide(&self, made: &Tensor, row: &mut i64) -> Tensor {
        let mut take = || {
            *row += 1;
            made.narrow(0, *row - 1, 1)
        };
        match self.guidance {
            Guidance::Pair(scale) => {
                let (negative, positive) = (take(), take());
                &negative + (positive - &negative) * scale
            }
            Guidance::None | Guidance::Embedded(_) => take(),
        }
    }

    /// The sampler's step, and what is kept of the image put back.
    fn step(&mut self, output: &Tensor) {
        let at = self.next;
        let shape = self.latents.size();
        let noise = self.scheduler.wants_noise(at).then(|| {
            let noise = self.noise.draw(Stream::Step(at as u32), &shape[1..]);
            noise.to_device(self.latents.device())
        });
        let step = self.scheduler.step(at, output, &self.latents, noise.as_ref());
        self.latents = step.sample;
        self.estimate = Some(step.estimate);
        self.next = at + 1;
        let Some(keep) = &self.keep else { return };
        let blend = |painted: &Tensor, kept: &Tensor| painted * &keep.mask + kept * (1.0 - &keep.mask);
        let kept = match self.is_done() {
            true => keep.clean.shallow_clone(),
            false => self.scheduler.add_noise(self.next, &keep.clean, &keep.noise),
        };
        self.latents = blend(&self.latents, &kept);
        self.estimate = self.estimate.as_ref().map(|estimate| blend(estimate, &keep.clean));
    }
}
