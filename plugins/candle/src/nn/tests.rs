//! Every layer on every tier of CPU kernels against the same layer as tensor operations.

use candle_core::{DType, Device, Result, Tensor};

use super::*;
use sensorium_kernels::Tier;

/// Reproducible numbers in −1..1.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    fn tensor(&mut self, shape: &[usize], scale: f32) -> Tensor {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| self.next() * scale).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).expect("as many values as the shape holds")
    }

    fn linear(&mut self, outputs: usize, inputs: usize) -> LinearWeights {
        let scale = (3.0 / inputs as f32).sqrt();
        LinearWeights {
            weight: self.tensor(&[outputs, inputs], scale),
            bias: Some(self.tensor(&[outputs], 0.3)),
        }
    }

    fn norm(&mut self, width: usize) -> NormWeights {
        let weight = (self.tensor(&[width], 0.3) + 1.0).expect("a scalar can be added");
        NormWeights {
            weight,
            bias: self.tensor(&[width], 0.2),
        }
    }

    fn layer(&mut self, config: &EncoderConfig) -> LayerWeights {
        let (hidden, intermediate) = (config.hidden, config.intermediate);
        LayerWeights {
            norm1: self.norm(hidden),
            query: self.linear(hidden, hidden),
            key: self.linear(hidden, hidden),
            value: self.linear(hidden, hidden),
            output: self.linear(hidden, hidden),
            norm2: self.norm(hidden),
            up: self.linear(intermediate, hidden),
            down: self.linear(hidden, intermediate),
        }
    }
}

/// Every tier that runs here, on one and on several threads.
fn computes() -> Vec<Compute> {
    let mut computes = Vec::new();
    for tier in Tier::available() {
        for threads in [1, 3] {
            let dtype = if tier == Tier::Avx512Bf16 {
                DType::BF16
            } else {
                DType::F32
            };
            let compute = Compute::new(Device::Cpu, dtype, threads).and_then(|c| c.with_tier(tier));
            computes.push(compute.expect("a tier that runs here"));
        }
    }
    computes
}

fn reference() -> Compute {
    Compute::new(Device::Cpu, DType::F32, 1).expect("one thread")
}

/// Checks the relative distance `|got − want| / |want|` against the tier's precision.
fn check(compute: &Compute, what: &str, got: &Tensor, want: &Tensor) {
    assert_eq!(got.dims(), want.dims(), "{what} on {:?}", compute.tier());
    let norm = |x: &Tensor| -> Result<f32> { x.sqr()?.sum_all()?.sqrt()?.to_scalar() };
    let distance = (got - want)
        .and_then(|d| Ok(norm(&d)? / norm(want)?))
        .expect("tensors of one shape");
    let limit = if compute.tier() == Tier::Avx512Bf16 { 0.02 } else { 5e-6 };
    assert!(
        distance < limit,
        "{what} on {:?} with {} threads: off by {distance}",
        compute.tier(),
        compute.threads
    );
}

fn config(hidden: usize, heads: usize, activation: Activation, placement: NormPlacement) -> EncoderConfig {
    EncoderConfig {
        hidden,
        heads,
        intermediate: 2 * hidden + 7,
        activation,
        norm_eps: 1e-5,
        placement,
    }
}

fn check_encoder(config: &EncoderConfig, lengths: &[usize], causal: bool) {
    let mut numbers = Numbers(7);
    let layers: Vec<LayerWeights> = (0..2).map(|_| numbers.layer(config)).collect();
    let x = numbers.tensor(&[lengths.iter().sum(), config.hidden], 1.0);
    let tensors = ops::Encoder::new(config.clone(), layers.clone(), &reference()).expect("a valid encoder");
    let want = tensors.forward(&x, lengths, causal).expect("the reference runs");
    for compute in computes() {
        let encoder = Encoder::new(config.clone(), layers.clone(), &compute).expect("a valid encoder");
        let got = encoder.forward(&x, lengths, causal).expect("the encoder runs");
        check(
            &compute,
            &format!("{config:?}, {lengths:?}, causal {causal}"),
            &got,
            &want,
        );
        let again = encoder.forward(&x, lengths, causal).expect("the encoder runs");
        check(&compute, "the same on used scratch memory", &again, &want);
    }
}

/// Hidden size, heads, activation, norms, lengths, causal.
type EncoderRow = (usize, usize, Activation, NormPlacement, &'static [usize], bool);

/// Width, heads, lengths of queries and of keys, causal.
type AttentionRow = (usize, usize, &'static [usize], &'static [usize], bool);

#[test]
fn encoder_matches_tensor_operations() {
    use Activation::{Gelu, GeluTanh, QuickGelu, Relu, Silu};
    use NormPlacement::{Post, Pre};
    // Head widths 8, 11 (odd), 40 (more than a panel); batches that go apart and together, lengths on and off tiles.
    let rows: [EncoderRow; 7] = [
        (32, 4, QuickGelu, Pre, &[50, 50, 50], false),
        (33, 3, Gelu, Post, &[5, 1, 17, 40], false),
        (80, 2, GeluTanh, Pre, &[29], false),
        (80, 2, QuickGelu, Pre, &[12, 3, 33, 1], true),
        (33, 3, Relu, Pre, &[14, 28], true),
        (24, 2, Silu, Post, &[64, 2, 2], true),
        (64, 1, Gelu, Pre, &[300, 290, 310], false),
    ];
    for (hidden, heads, activation, placement, lengths, causal) in rows {
        check_encoder(&config(hidden, heads, activation, placement), lengths, causal);
    }
}

#[test]
fn encoder_refuses_what_does_not_fit() {
    let config = config(32, 4, Activation::Relu, NormPlacement::Pre);
    let mut numbers = Numbers(1);
    let layer = numbers.layer(&config);
    let encoder = Encoder::new(config.clone(), vec![layer.clone()], &reference()).expect("a valid encoder");
    let x = numbers.tensor(&[6, 32], 1.0);
    for lengths in [&[5][..], &[6, 0], &[3, 4]] {
        assert!(encoder.forward(&x, lengths, false).is_err(), "{lengths:?}");
    }
    assert!(encoder.forward(&numbers.tensor(&[6, 31], 1.0), &[6], false).is_err());
    let bad = LayerWeights {
        up: numbers.linear(32, 32),
        ..layer
    };
    let message = Encoder::new(config, vec![bad], &reference())
        .expect_err("a wrong shape")
        .to_string();
    assert!(message.contains("up"), "{message}");
}

#[test]
fn linear_matches_tensor_operations() {
    let mut numbers = Numbers(3);
    for (rows, inputs, outputs) in [(1, 1, 1), (3, 31, 33), (29, 64, 100), (15, 7, 16)] {
        let weights = numbers.linear(outputs, inputs);
        let x = numbers.tensor(&[rows, inputs], 1.0);
        let want = ops::Linear::new(weights.clone(), &reference()).and_then(|linear| linear.forward_f32(&x));
        let want = want.expect("the reference runs");
        for compute in computes() {
            let got = Linear::new(weights.clone(), &compute).and_then(|linear| linear.forward(&x));
            check(
                &compute,
                &format!("{rows}×{inputs}×{outputs}"),
                &got.expect("the map runs"),
                &want,
            );
        }
    }
}

#[test]
fn layer_norm_matches_tensor_operations() {
    let mut numbers = Numbers(4);
    for (rows, width) in [(1, 1), (5, 33), (7, 768)] {
        let weights = numbers.norm(width);
        let x = (numbers.tensor(&[rows, width], 3.0) + 2.0).expect("a scalar can be added");
        let want = ops::LayerNorm::new(weights.clone(), 1e-5, &reference()).and_then(|norm| norm.forward(&x));
        let want = want.expect("the reference runs");
        for compute in computes() {
            let got = LayerNorm::new(weights.clone(), 1e-5, &compute).and_then(|norm| norm.forward(&x));
            check(
                &compute,
                &format!("{rows}×{width}"),
                &got.expect("the norm runs"),
                &want,
            );
        }
    }
}

#[test]
fn patch_embedding_matches_tensor_operations() {
    let mut numbers = Numbers(5);
    let scale = PixelScale {
        rescale: 1.0 / 255.0,
        mean: [0.48, 0.46, 0.41],
        std: [0.27, 0.26, 0.28],
    };
    // The last two leave pixels over at the right and below.
    for (hidden, patch, width, height) in [(40, 4, 8, 12), (33, 3, 10, 7), (16, 5, 14, 14)] {
        let weight = numbers.tensor(&[hidden, 3, patch, patch], 0.2);
        let bias = Some(numbers.tensor(&[hidden], 0.2));
        let images: Vec<Vec<u8>> = (0..5)
            .map(|_| {
                (0..width * height * 3)
                    .map(|_| ((numbers.next() + 1.0) * 127.0) as u8)
                    .collect()
            })
            .collect();
        let images: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
        let flat = weight.reshape((hidden, 3 * patch * patch)).expect("as many values");
        let tensors = ops::PatchEmbed::new(
            LinearWeights {
                weight: flat,
                bias: bias.clone(),
            },
            patch,
            scale,
            &reference(),
        );
        let want = tensors
            .and_then(|embed| embed.forward(&images, width, height))
            .expect("the reference runs");
        for compute in computes() {
            let embed = PatchEmbed::new(weight.clone(), bias.clone(), scale, &compute).expect("a valid convolution");
            let got = embed.forward(&images, width, height).expect("the embedding runs");
            check(&compute, &format!("{width}×{height} by {patch}"), &got, &want);
        }
    }
}

#[test]
fn attention_matches_tensor_operations() {
    let mut numbers = Numbers(6);
    let rows: [AttentionRow; 4] = [
        (32, 2, &[1, 1, 1], &[49, 3, 17], false),
        (33, 3, &[4, 20], &[4, 20], true),
        (24, 4, &[2, 5], &[40, 6], true),
        (11, 1, &[15], &[33], false),
    ];
    for (width, heads, q_lengths, kv_lengths, causal) in rows {
        let q = numbers.tensor(&[q_lengths.iter().sum(), width], 1.0);
        let [k, v] = [(); 2].map(|()| numbers.tensor(&[kv_lengths.iter().sum(), width], 1.0));
        let shape = AttentionShape {
            heads,
            q_lengths,
            kv_lengths,
            causal,
        };
        let want = ops::attention(&q, &k, &v, shape, &reference()).expect("the reference runs");
        for compute in computes() {
            let got = attention(&q, &k, &v, shape, &compute).expect("attention runs");
            check(&compute, &format!("{shape:?}"), &got, &want);
        }
    }
}
