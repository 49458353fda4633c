//! From logits to one token: temperature, top-k, top-p and min-p, in the order of transformers' warpers, then a draw by
//! the Gumbel-max trick (Gumbel 1954). Nothing here sorts the whole vocabulary.

use sensorium_contract::Sampling;

use super::{exp::sum_exp, noise::Noise, peak};

/// How far below the likeliest token the search for the likeliest ones goes at first, in nats.
const FIRST_WINDOW: f32 = 4.0;

/// How the next token is drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filters {
    /// 0: greedy.
    temperature: f32,
    top_k: Option<usize>,
    top_p: Option<f64>,
    /// As a difference of scaled logits, ln(min_p).
    min_p: Option<f32>,
}

/// A token with its logit over the temperature, less that of the likeliest one: at most 0.
type Scaled = (u32, f32);

// === impl Filters ===

impl Filters {
    /// Those that `sampling` asks for; filters that let everything through are left out.
    pub(crate) fn new(sampling: &Sampling) -> Self {
        Self {
            temperature: sampling.temperature.unwrap_or(1.0),
            top_k: sampling.top_k.map(|k| k as usize).filter(|&k| k > 0),
            top_p: sampling.top_p.filter(|&p| p < 1.0).map(f64::from),
            min_p: sampling.min_p.filter(|&p| p > 0.0).map(f32::ln),
        }
    }

    /// The token that comes next, or `None` if no logit is a number over -inf. Among equals the lowest id wins.
    pub(crate) fn choose(&self, logits: &[f32], noise: Noise) -> Option<u32> {
        let (likeliest, max) = peak(logits)?;
        if self.temperature == 0.0 || max == f32::INFINITY {
            return Some(likeliest);
        }
        let scale = Scale {
            max,
            temperature: self.temperature,
        };
        let mut kept = match (self.top_k, self.top_p, self.min_p) {
            (None, None, None) => return Some(draw_from_all(logits, likeliest, scale, noise)),
            (Some(k), ..) => top_k(logits, k, scale),
            (None, Some(p), _) => top_p(logits, p, scale),
            (None, None, Some(least)) => above(logits, least, scale),
        };
        if let (Some(_), Some(p)) = (self.top_k, self.top_p) {
            let total = mass(&kept);
            keep_nucleus(&mut kept, p * total);
        }
        if let Some(least) = self.min_p {
            kept.retain(|&(_, x)| x >= least);
        }
        Some(draw(&kept, likeliest, noise))
    }
}

/// Turns logits into scaled ones.
#[derive(Debug, Clone, Copy)]
struct Scale {
    max: f32,
    temperature: f32,
}

impl Scale {
    /// At most 0; NaN stays NaN.
    fn of(self, logit: f32) -> f32 {
        (logit - self.max) / self.temperature
    }

    /// The logit whose scaled one is `x`, rounded down so that no logit above is lost.
    fn logit(self, x: f32) -> f32 {
        let logit = self.max + x * self.temperature;
        logit - logit.abs() * 1e-6 - f32::MIN_POSITIVE
    }
}

/// Every token with a scaled logit of at least `least`, in the order of ids.
fn above(logits: &[f32], least: f32, scale: Scale) -> Vec<Scaled> {
    let floor = scale.logit(least);
    let near = logits.iter().enumerate().filter(|&(_, &logit)| logit >= floor);
    near.map(|(id, &logit)| (id as u32, scale.of(logit)))
        .filter(|&(_, x)| x >= least)
        .collect()
}

/// The tokens within the narrowest window below the top that is `enough`, in the order of ids; at last all of them.
fn window(logits: &[f32], scale: Scale, enough: impl Fn(&[Scaled]) -> bool) -> Vec<Scaled> {
    let mut width = FIRST_WINDOW;
    loop {
        let all = width > 1e4;
        let found = above(logits, if all { f32::MIN } else { -width }, scale);
        if all || enough(&found) {
            return found;
        }
        width *= 4.0;
    }
}

/// The `k` likeliest, and those as likely as the last of them.
fn top_k(logits: &[f32], k: usize, scale: Scale) -> Vec<Scaled> {
    let mut found = window(logits, scale, |found| found.len() >= k);
    if k < found.len() {
        let (_, &mut (_, last), _) = found.select_nth_unstable_by(k - 1, likelier);
        found.retain(|&(_, x)| x >= last);
    }
    found
}

/// The least set of likeliest tokens with probability `p` together (Holtzman et al. 2020).
fn top_p(logits: &[f32], p: f64, scale: Scale) -> Vec<Scaled> {
    let total = sum_exp(logits, scale.max, 1.0 / scale.temperature);
    let mut found = window(logits, scale, |found| mass(found) >= p * total);
    keep_nucleus(&mut found, p * total);
    found
}

/// Keeps the likeliest of `found` that have `mass` together: those before which less than that has come. At least
/// one stays. Selects by halves, so that nothing is sorted.
fn keep_nucleus(found: &mut Vec<Scaled>, needed: f64) {
    // Before `kept` all stay, with `before` as their mass; from `end` on all go.
    let (mut kept, mut before, mut end) = (0, 0.0, found.len());
    while kept < end {
        let half = (end - kept) / 2;
        found[kept..end].select_nth_unstable_by(half, likelier);
        let likelier = mass(&found[kept..kept + half]);
        if before + likelier < needed {
            before += likelier + f64::from(found[kept + half].1.exp());
            kept += half + 1;
        } else {
            end = kept + half;
        }
    }
    found.truncate(kept.max(1));
}

/// Likeliest first; among equals the lowest id.
fn likelier(a: &Scaled, b: &Scaled) -> std::cmp::Ordering {
    b.1.total_cmp(&a.1).then(a.0.cmp(&b.0))
}

/// What probabilities are in proportion to, summed.
fn mass(found: &[Scaled]) -> f64 {
    found.iter().map(|&(_, x)| f64::from(x.exp())).sum()
}

/// A draw from `kept`; `likeliest` if it is empty, which no filter should bring about.
fn draw(kept: &[Scaled], likeliest: u32, noise: Noise) -> u32 {
    let mut best = (likeliest, f64::NEG_INFINITY);
    for &(token, x) in kept {
        let score = f64::from(x) + noise.gumbel(token);
        if score > best.1 || (score == best.1 && token < best.0) {
            best = (token, score);
        }
    }
    best.0
}

/// A draw from the whole vocabulary. Starting from the likeliest token, hardly any other needs its exact noise.
fn draw_from_all(logits: &[f32], likeliest: u32, scale: Scale, noise: Noise) -> u32 {
    let mut best = (likeliest, noise.gumbel(likeliest));
    let inverse = 1.0 / f64::from(scale.temperature);
    for (token, &logit) in logits.iter().enumerate() {
        // NaN and -inf fail the comparison too.
        let x = f64::from(logit - scale.max) * inverse;
        if let Some(score) = (x > -80.0).then(|| noise.beats(token as u32, x, best.1)).flatten() {
            best = (token as u32, score);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampling(temperature: f32, top_k: Option<u32>, top_p: Option<f32>, min_p: Option<f32>) -> Sampling {
        Sampling {
            temperature: Some(temperature),
            top_k,
            top_p,
            min_p,
            ..Sampling::default()
        }
    }

    /// How often each of five tokens comes in 20,000 draws, as shares.
    fn shares(logits: &[f32], sampling: &Sampling) -> Vec<f64> {
        let filters = Filters::new(sampling);
        let mut counts = vec![0.0; logits.len()];
        for step in 0..20_000 {
            counts[filters.choose(logits, Noise::new(9, step)).expect("a token") as usize] += 1.0 / 20_000.0;
        }
        counts
    }

    fn check(sampling: Sampling, expected: [f64; 5]) {
        let logits: Vec<f32> = [0.4f32, 0.3, 0.2, 0.07, 0.03].iter().map(|p| p.ln() + 3.0).collect();
        let shares = shares(&logits, &sampling);
        for (share, expected) in shares.iter().zip(expected) {
            assert!((share - expected).abs() < 0.012, "{sampling:?}: {shares:?}");
            assert_eq!(*share == 0.0, expected == 0.0, "{sampling:?}: {shares:?}");
        }
    }

    #[test]
    fn draws_follow_the_filtered_distribution() {
        check(sampling(1.0, None, None, None), [0.4, 0.3, 0.2, 0.07, 0.03]);
        check(sampling(0.0, None, None, None), [1.0, 0.0, 0.0, 0.0, 0.0]);
        check(sampling(1.0, Some(1), None, None), [1.0, 0.0, 0.0, 0.0, 0.0]);
        check(sampling(1.0, Some(2), None, None), [0.5714, 0.4286, 0.0, 0.0, 0.0]);
        check(sampling(1.0, None, Some(0.65), None), [0.5714, 0.4286, 0.0, 0.0, 0.0]);
        check(
            sampling(1.0, None, Some(0.75), None),
            [0.4444, 0.3333, 0.2222, 0.0, 0.0],
        );
        check(sampling(1.0, None, Some(1e-6), None), [1.0, 0.0, 0.0, 0.0, 0.0]);
        check(sampling(1.0, None, None, Some(0.4)), [0.4444, 0.3333, 0.2222, 0.0, 0.0]);
        // After top-k, top-p counts the probability of what is left: 0.4444 and 0.3333 reach 0.75.
        check(
            sampling(1.0, Some(3), Some(0.75), None),
            [0.5714, 0.4286, 0.0, 0.0, 0.0],
        );
        // The temperature comes first: at 0.5 the shares are squared.
        check(sampling(0.5, None, None, None), [0.5404, 0.304, 0.1351, 0.0166, 0.003]);
        check(sampling(0.5, None, Some(0.6), None), [0.64, 0.36, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_very_low_temperature_is_greedy_and_a_very_high_one_even() {
        check(sampling(1e-30, None, None, None), [1.0, 0.0, 0.0, 0.0, 0.0]);
        check(sampling(1e30, None, None, None), [0.2; 5]);
    }

    #[test]
    fn ties_go_to_the_lowest_id_and_top_k_keeps_all_of_the_last_ones_equals() {
        let filters = Filters::new(&sampling(0.0, None, None, None));
        assert_eq!(filters.choose(&[1.0, 5.0, 5.0, f32::NAN], Noise::new(0, 0)), Some(1));
        let shares = shares(&[1.0, 2.0, 1.0, 1.0, 0.0], &sampling(1.0, Some(2), None, None));
        assert!(
            shares[0] > 0.0 && shares[2] > 0.0 && shares[3] > 0.0 && shares[4] == 0.0,
            "{shares:?}"
        );
    }

    #[test]
    fn only_numbers_are_chosen() {
        for sampling in [
            sampling(0.0, None, None, None),
            sampling(1.0, None, None, None),
            sampling(1.0, Some(3), None, None),
            sampling(1.0, None, Some(0.9), None),
            sampling(1.0, None, None, Some(0.1)),
        ] {
            let filters = Filters::new(&sampling);
            for step in 0..100 {
                let noise = Noise::new(3, step);
                assert_eq!(
                    filters.choose(&[f32::NAN, f32::NEG_INFINITY, -50.0, f32::NAN], noise),
                    Some(2)
                );
                assert_eq!(
                    filters.choose(&[f32::NAN, f32::INFINITY, 1.0, f32::NEG_INFINITY], noise),
                    Some(1)
                );
                assert_eq!(filters.choose(&[f32::NAN, f32::NEG_INFINITY], noise), None);
                assert_eq!(filters.choose(&[], noise), None);
            }
        }
    }

    /// The shortcut over the whole vocabulary gives what plain Gumbel-max gives.
    #[test]
    fn drawing_from_all_skips_no_winner() {
        for step in 0..300 {
            let noise = Noise::new(77, step);
            let logits: Vec<f32> = (0..3_000)
                .map(|t| Noise::new(1, step).gumbel(t) as f32 * 2.0 - 7.0)
                .collect();
            let plain = |temperature: f32| {
                let score = |t: usize| f64::from(logits[t]) / f64::from(temperature) + noise.gumbel(t as u32);
                (0..logits.len())
                    .max_by(|&a, &b| score(a).total_cmp(&score(b)))
                    .expect("not empty") as u32
            };
            for temperature in [0.3, 1.0, 2.0] {
                let filters = Filters::new(&sampling(temperature, None, None, None));
                assert_eq!(filters.choose(&logits, noise), Some(plain(temperature)));
            }
        }
    }
}
