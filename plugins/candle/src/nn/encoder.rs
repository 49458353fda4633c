//! A stack of transformer layers over ragged sequences.

use candle_core::{Result, Tensor, bail};

use super::{Compute, EncoderConfig, LayerWeights, cpu, ops};

/// Equal transformer layers, run over sequences that lie one after another.
#[derive(Debug)]
pub struct Encoder {
    hidden: usize,
    inner: Inner,
}

#[derive(Debug)]
enum Inner {
    Kernels(cpu::Encoder),
    Tensors(ops::Encoder),
}

impl Encoder {
    /// Prepares `layers` for `compute`; weights are packed here, once.
    ///
    /// # Errors
    /// When a weight's shape does not fit `config`, or `heads` does not divide `hidden`.
    pub fn new(config: EncoderConfig, layers: Vec<LayerWeights>, compute: &Compute) -> Result<Self> {
        check_config(&config)?;
        for (index, layer) in layers.iter().enumerate() {
            check_layer(&config, layer).map_err(|e| e.context(format!("layer {index}")))?;
        }
        let hidden = config.hidden;
        let inner = match compute.cpu() {
            Some(cpu) => Inner::Kernels(cpu::Encoder::new(&config, layers, cpu)?),
            None => Inner::Tensors(ops::Encoder::new(config, layers, compute)?),
        };
        Ok(Self { hidden, inner })
    }

    /// Runs all layers over `x`, f32 `[total_tokens, hidden]`: the tokens of every sequence one after another.
    ///
    /// `lengths` holds the number of tokens of each sequence; attention stays within a sequence and, when `causal`,
    /// sees no later token. Returns f32 of the same shape.
    ///
    /// # Errors
    /// When a length is zero, the lengths do not sum to the rows of `x`, or its width is not `hidden`.
    pub fn forward(&self, x: &Tensor, lengths: &[usize], causal: bool) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        if width != self.hidden {
            bail!("x is {width} wide; the encoder's hidden size is {}", self.hidden)
        }
        if lengths.contains(&0) {
            bail!("lengths must not contain 0")
        }
        let total: usize = lengths.iter().sum();
        if total != rows {
            bail!("lengths sum to {total}; x has {rows} rows")
        }
        match &self.inner {
            Inner::Kernels(encoder) => encoder.forward(x, lengths, causal),
            Inner::Tensors(encoder) => encoder.forward(x, lengths, causal),
        }
    }
}

fn check_config(config: &EncoderConfig) -> Result<()> {
    if config.heads == 0 || config.hidden == 0 || !config.hidden.is_multiple_of(config.heads) {
        bail!("heads ({}) must divide hidden ({})", config.heads, config.hidden)
    }
    Ok(())
}

fn check_layer(config: &EncoderConfig, layer: &LayerWeights) -> Result<()> {
    let (hidden, intermediate) = (config.hidden, config.intermediate);
    let maps = [
        ("query", &layer.query, [hidden, hidden]),
        ("key", &layer.key, [hidden, hidden]),
        ("value", &layer.value, [hidden, hidden]),
        ("output", &layer.output, [hidden, hidden]),
        ("up", &layer.up, [intermediate, hidden]),
        ("down", &layer.down, [hidden, intermediate]),
    ];
    for (name, map, shape) in maps {
        if map.weight.dims() != shape {
            bail!("{name}: weight has shape {:?}, expected {shape:?}", map.weight.dims())
        }
        if let Some(bias) = &map.bias
            && bias.dims() != [shape[0]]
        {
            bail!("{name}: bias has shape {:?}, expected [{}]", bias.dims(), shape[0])
        }
    }
    for (name, norm) in [("norm1", &layer.norm1), ("norm2", &layer.norm2)] {
        if norm.weight.dims() != [hidden] || norm.bias.dims() != [hidden] {
            bail!("{name}: weight and bias must have shape [{hidden}]")
        }
    }
    Ok(())
}
