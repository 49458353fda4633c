//! `vae/config.json`: diffusers' `AutoencoderKL`.

use super::{Fields, OneOrMany};
use crate::{checkpoint::ModelDir, error::LoadError, nn::Activation};

/// An autoencoder whose latents are normal distributions.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct VaeConfig {
    /// Channels of each resolution, outermost first.
    pub(crate) channels: Vec<i64>,
    /// Residual blocks of each resolution on the way down; one more on the way up.
    pub(crate) resnets: i64,
    /// Channels of the latents.
    pub(crate) latent_channels: i64,
    /// Groups of the norms.
    pub(crate) groups: i64,
    /// Of residual blocks.
    pub(crate) activation: Activation,
    /// Latents are multiplied by this after encoding.
    pub(crate) scaling: f64,
    /// And this is subtracted before.
    pub(crate) shift: f64,
    /// Overflows in f16.
    pub(crate) force_upcast: bool,
    /// There is a convolution between encoder and latents.
    pub(crate) quant_conv: bool,
    /// There is a convolution between latents and decoder.
    pub(crate) post_quant_conv: bool,
    /// The middle blocks have attention.
    pub(crate) mid_attention: bool,
}

// === impl VaeConfig ===

impl VaeConfig {
    /// Reads `config.json` in `dir`.
    ///
    /// # Errors
    /// If it is missing, asks for something that isn't supported, or its numbers make no sense.
    pub(crate) fn load(dir: &ModelDir) -> Result<Self, LoadError> {
        Self::take(Fields::read(dir, "config.json")?)
    }

    fn take(mut fields: Fields) -> Result<Self, LoadError> {
        let channels: Vec<i64> = fields.get("block_out_channels", vec![64])?;
        check_types(&mut fields, "down_block_types", "DownEncoderBlock2D", channels.len())?;
        check_types(&mut fields, "up_block_types", "UpDecoderBlock2D", channels.len())?;
        fields.only("in_channels", 3)?;
        fields.only("out_channels", 3)?;
        for name in ["latents_mean", "latents_std"] {
            fields.refuse(name)?;
        }
        let activation: String = fields.get("act_fn", "silu".to_owned())?;
        let config = Self {
            resnets: fields.count("layers_per_block", 1, 1..=64)?,
            latent_channels: fields.count("latent_channels", 4, 1..=64)?,
            groups: fields.count("norm_num_groups", 32, 1..=1024)?,
            activation: Activation::parse(&activation).map_err(|problem| fields.error("act_fn", problem))?,
            scaling: fields.get("scaling_factor", 0.18215)?,
            shift: fields.get("shift_factor", 0.0)?,
            force_upcast: fields.get("force_upcast", true)?,
            quant_conv: fields.get("use_quant_conv", true)?,
            post_quant_conv: fields.get("use_post_quant_conv", true)?,
            mid_attention: fields.get("mid_block_add_attention", true)?,
            channels,
        };
        let good = |channels: &i64| (1..=1 << 14).contains(channels) && channels % config.groups == 0;
        if config.channels.is_empty() || config.channels.len() > 8 || !config.channels.iter().all(good) {
            let problem = format!(
                "is {:?}; it lists 1 to 8 numbers that norm_num_groups divides",
                config.channels
            );
            return Err(fields.error("block_out_channels", problem));
        }
        if !(config.scaling.is_finite() && config.scaling != 0.0) {
            return Err(fields.error("scaling_factor", "must be a number other than 0"));
        }
        // The size that it was trained at; the pipeline's is the UNet's.
        fields.skip(&["sample_size"]);
        fields.finish()?;
        Ok(config)
    }

    /// How many times smaller the sides of latents are.
    pub(crate) fn reduction(&self) -> i64 {
        1 << (self.channels.len() - 1)
    }
}

fn check_types(fields: &mut Fields, name: &str, supported: &str, count: usize) -> Result<(), LoadError> {
    let types: OneOrMany<String> = fields.get(name, OneOrMany::Many(vec![supported.to_owned()]))?;
    match types {
        OneOrMany::Many(types) if types.len() == count && types.iter().all(|kind| kind == supported) => Ok(()),
        other => Err(fields.error(name, format!("is {other:?}; it lists {count} times {supported}"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_not_supported_is_named() {
        let take = |json: Value| {
            let Value::Object(map) = json else { panic!("an object") };
            VaeConfig::take(Fields::new("vae/config.json", map)).map_err(|error| error.to_string())
        };
        assert_eq!(take(json!({})).expect("defaults").reduction(), 1);
        for (json, part) in [
            (json!({"latents_mean": [0.0]}), "latents_mean"),
            (json!({"block_out_channels": [64, 64]}), "down_block_types"),
            (json!({"in_channels": 4}), "in_channels is 4; only 3"),
            (json!({"scaling_factor": 0.0}), "scaling_factor"),
            (json!({"block_out_channels": [30]}), "block_out_channels"),
        ] {
            let message = take(json.clone()).expect_err(part);
            assert!(message.contains(part), "{json}: {message}");
        }
    }
}
