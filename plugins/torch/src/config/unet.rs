//! `unet/config.json`: diffusers' `UNet2DConditionModel`, as far as Stable Diffusion's families go.

use super::{Fields, OneOrMany};
use crate::{checkpoint::ModelDir, error::LoadError, nn::Activation};

/// A UNet that is told a timestep and a prompt.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnetConfig {
    /// Side of the latents that it was trained on, if the file says: height, width.
    pub(crate) sample_size: Option<[i64; 2]>,
    /// Channels of its input: 4, or 9 where a mask and a masked image are among them.
    pub(crate) in_channels: i64,
    /// Channels of its output.
    pub(crate) out_channels: i64,
    /// Blocks on the way down, outermost first.
    pub(crate) blocks: Vec<UnetBlock>,
    /// Blocks on the way up have attention: innermost first.
    pub(crate) up_attention: Vec<bool>,
    /// False: there is no block in the middle.
    pub(crate) middle: bool,
    /// The first of a transformer's attentions reads the prompt too.
    pub(crate) only_cross_attention: Vec<bool>,
    /// Order of the timestep's sinusoids.
    pub(crate) cosine_first: bool,
    /// Of their frequencies.
    pub(crate) freq_shift: f64,
    /// Groups of the norms.
    pub(crate) groups: i64,
    /// Added to variances.
    pub(crate) eps: f64,
    /// Of residual blocks.
    pub(crate) activation: Activation,
    /// Width of the prompt's states.
    pub(crate) context: i64,
    /// Width of an embedding of the guidance scale; `None`: guidance takes two passes.
    pub(crate) guidance_embedding: Option<i64>,
    /// SDXL's conditions beside the prompt.
    pub(crate) added: Option<AddedConditions>,
    /// Padding of the convolutions that halve a side.
    pub(crate) downsample_padding: i64,
}

/// One resolution of a UNet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UnetBlock {
    /// Channels.
    pub(crate) channels: i64,
    /// Residual blocks on the way down; one more on the way up.
    pub(crate) resnets: i64,
    /// On the way down it has attention.
    pub(crate) attention: bool,
    /// Attention heads.
    pub(crate) heads: i64,
    /// Transformer layers of each attention.
    pub(crate) transformers: i64,
}

/// SDXL's conditions: a pooled state of the prompt, and six numbers about the image's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AddedConditions {
    /// Width of the embedding of each number.
    pub(crate) number: i64,
    /// Width of all together.
    pub(crate) input: i64,
}

/// Fields that have one supported value.
const ONLY: [(&str, f64); 3] = [
    ("mid_block_scale_factor", 1.0),
    ("resnet_out_scale_factor", 1.0),
    ("dropout", 0.0),
];
/// Switches that must be off.
const OFF: [&str; 4] = [
    "center_input_sample",
    "dual_cross_attention",
    "resnet_skip_time_act",
    "class_embeddings_concat",
];
/// Fields that must be null.
const NULL: [&str; 10] = [
    "reverse_transformer_layers_per_block",
    "encoder_hid_dim",
    "encoder_hid_dim_type",
    "class_embed_type",
    "num_class_embeds",
    "time_embedding_dim",
    "time_embedding_act_fn",
    "timestep_post_act",
    "cross_attention_norm",
    "mid_block_only_cross_attention",
];

// === impl UnetConfig ===

impl UnetConfig {
    /// Reads `config.json` in `dir`.
    ///
    /// # Errors
    /// If it is missing, asks for something that isn't supported, or its numbers make no sense.
    pub(crate) fn load(dir: &ModelDir) -> Result<Self, LoadError> {
        Self::take(Fields::read(dir, "config.json")?)
    }

    fn take(mut fields: Fields) -> Result<Self, LoadError> {
        refuse_unsupported(&mut fields)?;
        let blocks = take_blocks(&mut fields)?;
        let count = blocks.len();
        let spread = |fields: &Fields, name: &str, flags: OneOrMany<bool>| {
            flags
                .spread(count)
                .ok_or_else(|| fields.error(name, format!("must list {count} values")))
        };
        let only_cross = fields.get("only_cross_attention", OneOrMany::One(false))?;
        let only_cross_attention = spread(&fields, "only_cross_attention", only_cross)?;
        let config = Self {
            sample_size: take_sample_size(&mut fields)?,
            in_channels: fields.count("in_channels", 4, 1..=64)?,
            out_channels: fields.count("out_channels", 4, 1..=64)?,
            up_attention: take_up_blocks(&mut fields, count)?,
            blocks,
            middle: take_middle(&mut fields)?,
            only_cross_attention,
            cosine_first: fields.get("flip_sin_to_cos", true)?,
            freq_shift: fields.get("freq_shift", 0.0)?,
            groups: fields.count("norm_num_groups", 32, 1..=1024)?,
            eps: fields.get("norm_eps", 1e-5)?,
            activation: take_activation(&mut fields)?,
            context: fields.count("cross_attention_dim", 1280, 1..=1 << 16)?,
            guidance_embedding: fields.optional("time_cond_proj_dim")?,
            added: take_added(&mut fields)?,
            downsample_padding: fields.count("downsample_padding", 1, 1..=1)?,
        };
        if let Some(block) = config.blocks.iter().find(|block| block.channels % config.groups != 0) {
            return Err(fields.error(
                "norm_num_groups",
                format!("must divide block_out_channels ({})", block.channels),
            ));
        }
        fields.finish()?;
        Ok(config)
    }

    /// How many times smaller the innermost resolution is: sides of latents must be multiples of it.
    pub(crate) fn reduction(&self) -> i64 {
        1 << (self.blocks.len() - 1)
    }
}

fn refuse_unsupported(fields: &mut Fields) -> Result<(), LoadError> {
    for (name, value) in ONLY {
        fields.only(name, value)?;
    }
    for name in OFF {
        fields.only(name, false)?;
    }
    for name in NULL {
        fields.refuse(name)?;
    }
    fields.only("resnet_time_scale_shift", "default")?;
    fields.only("time_embedding_type", "positional")?;
    fields.only("attention_type", "default")?;
    fields.only("conv_in_kernel", 3)?;
    fields.only("conv_out_kernel", 3)?;
    // The first is how weights are stored, which they show themselves; the second is about a kernel's precision, and
    // the fused one keeps its scores in f32; the third belongs to an embedding that is refused.
    fields.skip(&[
        "use_linear_projection",
        "upcast_attention",
        "addition_embed_type_num_heads",
    ]);
    Ok(())
}

fn take_blocks(fields: &mut Fields) -> Result<Vec<UnetBlock>, LoadError> {
    let cross = "CrossAttnDownBlock2D";
    let types = fields.get(
        "down_block_types",
        [cross, cross, cross, "DownBlock2D"].map(str::to_owned).to_vec(),
    )?;
    let count = types.len();
    let channels: Vec<i64> = fields.get("block_out_channels", vec![320, 640, 1280, 1280])?;
    if channels.len() != count || count == 0 || count > 16 {
        return Err(fields.error(
            "block_out_channels",
            format!("must list one number for each of {count} blocks"),
        ));
    }
    let each = |fields: &mut Fields, name: &str, default: i64| {
        let values: OneOrMany<i64> = fields.get(name, OneOrMany::One(default))?;
        match values.spread(count) {
            Some(values) if values.iter().all(|value| (1..=4096).contains(value)) => Ok(values),
            _ => Err(fields.error(
                name,
                format!("must be one positive number, or one for each of {count} blocks"),
            )),
        }
    };
    let resnets = each(fields, "layers_per_block", 2)?;
    let transformers = each(fields, "transformer_layers_per_block", 1)?;
    // diffusers takes the number of heads from attention_head_dim, unless the field of the right name is there.
    let by_the_wrong_name = each(fields, "attention_head_dim", 8)?;
    let heads = match fields.optional::<OneOrMany<i64>>("num_attention_heads")? {
        Some(heads) => heads
            .spread(count)
            .ok_or_else(|| fields.error("num_attention_heads", format!("must list {count} numbers")))?,
        None => by_the_wrong_name,
    };
    let mut blocks = Vec::new();
    for (at, kind) in types.iter().enumerate() {
        let attention = match kind.as_str() {
            "CrossAttnDownBlock2D" => true,
            "DownBlock2D" => false,
            other => return Err(fields.error("down_block_types", format!("has {other}, which isn't supported"))),
        };
        if !(1..=1 << 16).contains(&channels[at]) || (attention && channels[at] % heads[at] != 0) {
            let problem = format!("has {}, which {} attention heads don't divide", channels[at], heads[at]);
            return Err(fields.error("block_out_channels", problem));
        }
        blocks.push(UnetBlock {
            channels: channels[at],
            resnets: resnets[at],
            attention,
            heads: heads[at],
            transformers: transformers[at],
        });
    }
    Ok(blocks)
}

fn take_up_blocks(fields: &mut Fields, count: usize) -> Result<Vec<bool>, LoadError> {
    let cross = "CrossAttnUpBlock2D";
    let types = fields.get(
        "up_block_types",
        ["UpBlock2D", cross, cross, cross].map(str::to_owned).to_vec(),
    )?;
    if types.len() != count {
        return Err(fields.error(
            "up_block_types",
            format!("must list {count} blocks, as down_block_types does"),
        ));
    }
    let attention = types.iter().map(|kind| match kind.as_str() {
        "CrossAttnUpBlock2D" => Ok(true),
        "UpBlock2D" => Ok(false),
        other => Err(fields.error("up_block_types", format!("has {other}, which isn't supported"))),
    });
    attention.collect()
}

fn take_middle(fields: &mut Fields) -> Result<bool, LoadError> {
    // Null means no block, so it must be told from absent: `Fields` drops nulls, and no released model has one.
    let kind: String = fields.get("mid_block_type", "UNetMidBlock2DCrossAttn".to_owned())?;
    match kind.as_str() {
        "UNetMidBlock2DCrossAttn" => Ok(true),
        other => Err(fields.error("mid_block_type", format!("is {other}, which isn't supported"))),
    }
}

fn take_sample_size(fields: &mut Fields) -> Result<Option<[i64; 2]>, LoadError> {
    let side = match fields.optional::<OneOrMany<i64>>("sample_size")? {
        None => return Ok(None),
        Some(OneOrMany::One(side)) => [side, side],
        Some(OneOrMany::Many(sides)) => sides
            .try_into()
            .map_err(|_| fields.error("sample_size", "must be one number, or height and width"))?,
    };
    match side.iter().all(|side| (1..=4096).contains(side)) {
        true => Ok(Some(side)),
        false => Err(fields.error("sample_size", format!("is {side:?}; sides are 1 to 4096"))),
    }
}

fn take_activation(fields: &mut Fields) -> Result<Activation, LoadError> {
    let name: String = fields.get("act_fn", "silu".to_owned())?;
    Activation::parse(&name).map_err(|problem| fields.error("act_fn", problem))
}

fn take_added(fields: &mut Fields) -> Result<Option<AddedConditions>, LoadError> {
    let kind: Option<String> = fields.optional("addition_embed_type")?;
    let number: Option<i64> = fields.optional("addition_time_embed_dim")?;
    let input: Option<i64> = fields.optional("projection_class_embeddings_input_dim")?;
    match (kind.as_deref(), number, input) {
        (None, _, _) => Ok(None),
        (Some("text_time"), Some(number), Some(input)) if number > 0 && input > 6 * number => {
            Ok(Some(AddedConditions { number, input }))
        }
        (Some("text_time"), _, _) => {
            let problem = "is text_time, which needs addition_time_embed_dim and projection_class_embeddings_input_dim";
            Err(fields.error("addition_embed_type", problem))
        }
        (Some(other), _, _) => Err(fields.error("addition_embed_type", format!("is {other}, which isn't supported"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn take(json: Value) -> Result<UnetConfig, String> {
        let Value::Object(map) = json else { panic!("an object") };
        UnetConfig::take(Fields::new("unet/config.json", map)).map_err(|error| error.to_string())
    }

    #[test]
    fn absent_fields_mean_what_diffusers_means() {
        let config = take(json!({})).expect("defaults");
        assert_eq!(
            (
                config.blocks.len(),
                config.in_channels,
                config.context,
                config.reduction()
            ),
            (4, 4, 1280, 8)
        );
        assert_eq!(config.blocks[0].heads, 8);
        let sd2 = take(json!({"attention_head_dim": [5, 10, 20, 20], "use_linear_projection": true})).expect("SD 2");
        assert_eq!(sd2.blocks[1].heads, 10);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (json, part) in [
            (
                json!({"dual_cross_attention": true}),
                "dual_cross_attention is true; only false",
            ),
            (json!({"class_embed_type": "timestep"}), "class_embed_type"),
            (
                json!({"down_block_types": ["AttnDownBlock2D"], "block_out_channels": [32]}),
                "AttnDownBlock2D",
            ),
            (json!({"mid_block_type": "UNetMidBlock2D"}), "mid_block_type"),
            (json!({"addition_embed_type": "image"}), "addition_embed_type is image"),
            (
                json!({"addition_embed_type": "text_time"}),
                "projection_class_embeddings_input_dim",
            ),
            (json!({"attention_head_dim": 7}), "7 attention heads"),
            (json!({"norm_num_groups": 33}), "norm_num_groups"),
            (json!({"no_such_field": 1}), "no_such_field"),
            (json!({"block_out_channels": [320]}), "block_out_channels"),
            (json!({"cross_attention_dim": [768, 768]}), "cross_attention_dim"),
        ] {
            let message = take(json.clone()).expect_err(part);
            assert!(message.contains(part), "{json}: {message}");
        }
    }
}
