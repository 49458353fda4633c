//! How much of the clean sample is left at each training timestep.

use tch::{Device, Kind, Tensor};

use super::config::{BetaSchedule, SchedulerConfig};

/// Smallest share of the clean sample, where a schedule that ends in pure noise meets σ = √((1-ᾱ)/ᾱ).
const LEAST_ALPHA: f64 = 1.0 / (1u64 << 24) as f64;

/// ᾱ of each training timestep, computed in f32 as the reference does.
#[derive(Debug, Clone)]
pub(super) struct Table {
    alphas: Vec<f64>,
    /// ᾱ before the first timestep.
    last: f64,
}

// === impl Table ===

impl Table {
    /// The table of a configuration.
    pub(super) fn new(config: &SchedulerConfig) -> Self {
        let mut betas = betas(config);
        if config.rescale_betas_zero_snr {
            betas = zero_terminal_snr(&betas);
        }
        let alphas: Tensor = 1.0 - betas;
        let alphas = alphas.cumprod(0, Kind::Float);
        let alphas: Vec<f64> = Vec::try_from(alphas.to_kind(Kind::Double)).unwrap_or_default();
        Self {
            last: if config.set_alpha_to_one { 1.0 } else { alphas[0] },
            alphas,
        }
    }

    /// The same for samplers that divide by ᾱ: the last is never 0.
    pub(super) fn without_zero(config: &SchedulerConfig) -> Self {
        let mut table = Self::new(config);
        if config.rescale_betas_zero_snr
            && let Some(end) = table.alphas.last_mut()
        {
            *end = LEAST_ALPHA;
        }
        table
    }

    /// ᾱ at a training timestep; before the first: 1, or the first's own, as the configuration says.
    pub(super) fn alpha(&self, timestep: i64) -> f64 {
        usize::try_from(timestep).map_or(self.last, |at| self.alphas[at.min(self.alphas.len() - 1)])
    }

    /// σ = √((1-ᾱ)/ᾱ) of every training timestep (Karras et al. 2022), rounded as the reference rounds.
    pub(super) fn sigmas(&self) -> Vec<f32> {
        let alphas = self.alphas.iter().map(|alpha| *alpha as f32);
        alphas.map(|alpha| ((1.0 - alpha) / alpha).sqrt()).collect()
    }
}

/// β of each training timestep, f32.
fn betas(config: &SchedulerConfig) -> Tensor {
    let (start, end, steps) = (config.beta_start, config.beta_end, config.num_train_timesteps as i64);
    let options = (Kind::Float, Device::Cpu);
    match &config.beta_schedule {
        BetaSchedule::Trained(betas) => Tensor::from_slice(betas).to_kind(Kind::Float),
        BetaSchedule::Linear => Tensor::linspace(start, end, steps, options),
        BetaSchedule::ScaledLinear => Tensor::linspace(start.sqrt(), end.sqrt(), steps, options).square(),
        BetaSchedule::SquaredCosine => {
            let bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::FRAC_PI_2).cos().powi(2);
            let at = |step: i64| step as f64 / steps as f64;
            let betas: Vec<f64> = (0..steps)
                .map(|i| (1.0 - bar(at(i + 1)) / bar(at(i))).min(0.999))
                .collect();
            Tensor::from_slice(&betas).to_kind(Kind::Float)
        }
    }
}

/// Shifts and scales √ᾱ so that the last timestep is pure noise (Lin et al. 2023, algorithm 1).
fn zero_terminal_snr(betas: &Tensor) -> Tensor {
    let alphas: Tensor = 1.0 - betas;
    let roots = alphas.cumprod(0, Kind::Float).sqrt();
    let (first, last) = (roots.get(0), roots.get(-1));
    let bars = ((&roots - &last) * (&first / (&first - &last))).square();
    let steps = bars.size()[0];
    let ratios = bars.narrow(0, 1, steps - 1) / bars.narrow(0, 0, steps - 1);
    1.0 - Tensor::cat(&[bars.narrow(0, 0, 1), ratios], 0)
}
