//! The whole autoencoder.

use tch::Tensor;

use super::{
    blocks::{Decoder, Encoder},
    tiling,
};
use crate::{
    checkpoint::{Scope, Weights},
    config::VaeConfig,
    error::LoadError,
    lora::Loras,
    nn::{Conv2d, channels_last},
};

/// An autoencoder between RGB and latents.
pub struct Vae {
    encoder: Encoder,
    quant: Option<Conv2d>,
    post_quant: Option<Conv2d>,
    decoder: Decoder,
    config: VaeConfig,
    /// Largest side in pixels that is computed at once; larger images in tiles.
    tile: i64,
}

// === impl Vae ===

impl Vae {
    /// Reads the autoencoder; images with a side of more than `tile` pixels go through it in tiles of that side.
    ///
    /// # Errors
    /// If a tensor is missing, has another shape, or belongs nowhere.
    pub(crate) fn load(weights: &Weights<'_>, config: VaeConfig, tile: i64) -> Result<Self, LoadError> {
        let loras = Loras::default();
        let root = Scope::new(weights, &loras, "vae");
        let moments = 2 * config.latent_channels;
        let quant = config
            .quant_conv
            .then(|| Conv2d::load(&root.sub("quant_conv"), moments, moments, 1));
        let channels = config.latent_channels;
        let post_quant = config
            .post_quant_conv
            .then(|| Conv2d::load(&root.sub("post_quant_conv"), channels, channels, 1));
        let network = Self {
            encoder: Encoder::load(&root.sub("encoder"), &config)?,
            quant: quant.transpose()?,
            post_quant: post_quant.transpose()?,
            decoder: Decoder::load(&root.sub("decoder"), &config)?,
            config,
            tile,
        };
        weights.finish()?;
        Ok(network)
    }

    /// Pixels of -1 to 1, `[b, 3, h, w]`, to the mean and the standard deviation of latents, each
    /// `[b, latent_channels, h / reduction, w / reduction]`, not scaled.
    pub fn encode(&self, pixels: &Tensor) -> (Tensor, Tensor) {
        let encode = |pixels: &Tensor| {
            let moments = self.encoder.forward(&channels_last(pixels));
            match &self.quant {
                Some(conv) => conv.forward(&moments),
                None => moments,
            }
        };
        let reduction = self.config.reduction();
        let moments = match self.fits(pixels, self.tile) {
            true => encode(pixels),
            false => tiling::in_tiles(pixels, self.tile, (1, reduction), &encode),
        };
        let mut halves = moments.chunk(2, 1).into_iter();
        let (mean, logvar) = (halves.next(), halves.next());
        let (mean, logvar) = (mean.expect("two halves"), logvar.expect("two halves"));
        let deviation = (logvar.clamp(-30.0, 20.0) * 0.5).exp();
        (mean, deviation)
    }

    /// Latents as they come from [`Vae::encode`] to pixels of about -1 to 1, `[b, 3, h, w]`.
    pub fn decode(&self, latents: &Tensor) -> Tensor {
        let decode = |latents: &Tensor| {
            let latents = channels_last(latents);
            match &self.post_quant {
                Some(conv) => self.decoder.forward(&conv.forward(&latents)),
                None => self.decoder.forward(&latents),
            }
        };
        let reduction = self.config.reduction();
        match self.fits(latents, self.tile / reduction) {
            true => decode(latents),
            false => tiling::in_tiles(latents, self.tile / reduction, (reduction, 1), &decode),
        }
    }

    /// Multiplies latents for the UNet.
    pub fn scale(&self, latents: &Tensor) -> Tensor {
        (latents - self.config.shift) * self.config.scaling
    }

    /// What [`Vae::scale`] has done, undone.
    pub fn unscale(&self, latents: &Tensor) -> Tensor {
        latents / self.config.scaling + self.config.shift
    }

    fn fits(&self, x: &Tensor, side: i64) -> bool {
        x.size()[2..].iter().all(|length| *length <= side)
    }
}
