//! Measures the encoder alone, on random weights of any size: `encoder_speed [key=value ...]`.
//!
//! Keys and defaults (CLIP ViT-B/32's vision tower): `dtype=bf16 threads=2 batch=32 tokens=50 hidden=768 heads=12
//! inter=3072 layers=12 causal=0 rounds=7 tier=auto`. Prints sequences a second by the clock (best and median), and
//! core-milliseconds a sequence, which other work on the machine disturbs less.

mod support;

use std::{collections::HashMap, time::Instant};

use candle_core::{DType, Device, Error, Result, Tensor};
use sensorium_candle::nn::{
    Activation, Compute, Encoder, EncoderConfig, LayerWeights, LinearWeights, NormPlacement, NormWeights,
};
use sensorium_kernels::Tier;
use support::core_seconds;

fn main() -> Result<()> {
    let given: HashMap<String, String> = std::env::args()
        .skip(1)
        .filter_map(|argument| {
            argument
                .split_once('=')
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
        })
        .collect();
    let number = |key: &str, default: usize| given.get(key).and_then(|v| v.parse().ok()).unwrap_or(default);
    let (batch, tokens, rounds) = (number("batch", 32), number("tokens", 50), number("rounds", 7));
    let (hidden, layers) = (number("hidden", 768), number("layers", 12));
    let config = EncoderConfig {
        hidden,
        heads: number("heads", 12),
        intermediate: number("inter", 4 * hidden),
        activation: Activation::from_name(given.get("act").map_or("quick_gelu", String::as_str))
            .map_err(candle_core::Error::wrap)?,
        norm_eps: 1e-5,
        placement: NormPlacement::Pre,
    };
    let dtype = match given.get("dtype").map(String::as_str) {
        Some("f32") => DType::F32,
        Some("f16") => DType::F16,
        _ => DType::BF16,
    };
    let mut compute = Compute::new(Device::Cpu, dtype, number("threads", 2))?;
    if let Some(name) = given.get("tier") {
        let tier = Tier::available()
            .into_iter()
            .find(|tier| format!("{tier:?}").eq_ignore_ascii_case(name));
        compute = compute.with_tier(tier.ok_or_else(|| Error::msg(format!("tier {name} does not run here")))?)?;
    }
    let weights = (0..layers).map(|_| layer(&config)).collect::<Result<_>>()?;
    let encoder = Encoder::new(config.clone(), weights, &compute)?;
    let x = Tensor::randn(0f32, 1.0, (batch * tokens, hidden), &Device::Cpu)?;
    let lengths = vec![tokens; batch];
    let causal = number("causal", 0) == 1;
    encoder.forward(&x, &lengths, causal)?;
    let mut clock = Vec::new();
    let mut cores = Vec::new();
    for _ in 0..rounds {
        let (start, busy) = (Instant::now(), core_seconds());
        encoder.forward(&x, &lengths, causal)?;
        clock.push(start.elapsed().as_secs_f64());
        cores.push(core_seconds() - busy);
    }
    clock.sort_by(f64::total_cmp);
    cores.sort_by(f64::total_cmp);
    let flops = layers * batch * tokens * 2 * (4 * hidden * hidden + 2 * hidden * config.intermediate);
    println!(
        "{:?} batch {batch} × {tokens}: best {:.1}/s, median {:.1}/s; core-ms {:.2} (best {:.2}); {:.0} GFLOP/s a core at best",
        compute.tier(),
        batch as f64 / clock[0],
        batch as f64 / clock[rounds / 2],
        cores[rounds / 2] * 1e3 / batch as f64,
        cores[0] * 1e3 / batch as f64,
        flops as f64 / cores[0] / 1e9,
    );
    Ok(())
}

fn layer(config: &EncoderConfig) -> Result<LayerWeights> {
    let norm = || -> Result<NormWeights> {
        Ok(NormWeights {
            weight: Tensor::ones(config.hidden, DType::F32, &Device::Cpu)?,
            bias: Tensor::zeros(config.hidden, DType::F32, &Device::Cpu)?,
        })
    };
    let linear = |outputs: usize, inputs: usize| -> Result<LinearWeights> {
        let weight = Tensor::randn(0f32, 1.0 / (inputs as f32).sqrt(), (outputs, inputs), &Device::Cpu)?;
        Ok(LinearWeights {
            weight,
            bias: Some(Tensor::zeros(outputs, DType::F32, &Device::Cpu)?),
        })
    };
    let (hidden, intermediate) = (config.hidden, config.intermediate);
    Ok(LayerWeights {
        norm1: norm()?,
        query: linear(hidden, hidden)?,
        key: linear(hidden, hidden)?,
        value: linear(hidden, hidden)?,
        output: linear(hidden, hidden)?,
        norm2: norm()?,
        up: linear(intermediate, hidden)?,
        down: linear(hidden, intermediate)?,
    })
}
