//! The adapters of one layer.

use tch::{Kind, Tensor};

use super::{ActiveLoras, RawAdapter};
use crate::{checkpoint::Scope, error::LoadError, nn::channels_last};

/// What low-rank adapters add to a layer's output: Σ wᵢ · scaleᵢ · upᵢ(downᵢ(x)).
#[derive(Default)]
pub(crate) struct Adapters {
    list: Vec<Adapter>,
    active: ActiveLoras,
}

struct Adapter {
    lora: usize,
    down: Tensor,
    up: Tensor,
    scale: f64,
}

// === impl Adapters ===

impl Adapters {
    /// Those of a linear layer from `input` to `out`.
    ///
    /// # Errors
    /// If one has other shapes.
    pub(crate) fn linear(scope: &Scope<'_>, out: i64, input: i64) -> Result<Self, LoadError> {
        Self::take(scope, |raw| {
            // A linear map may be stored as a 1x1 convolution.
            let flat = |x: &Tensor| match x.size().as_slice() {
                &[a, b] | &[a, b, 1, 1] => Some(x.reshape([a, b])),
                _ => None,
            };
            let (down, up) = (flat(&raw.down)?, flat(&raw.up)?);
            let rank = down.size()[0];
            (down.size() == [rank, input] && up.size() == [out, rank]).then_some((down, up))
        })
    }

    /// Those of a convolution: `[out, input, kernel]`.
    ///
    /// # Errors
    /// As [`Adapters::linear`].
    pub(crate) fn conv(scope: &Scope<'_>, [out, input, kernel]: [i64; 3]) -> Result<Self, LoadError> {
        Self::take(scope, |raw| {
            let rank = raw.down.size().first().copied()?;
            let fits = raw.down.size() == [rank, input, kernel, kernel] && raw.up.size() == [out, rank, 1, 1];
            fits.then(|| (channels_last(&raw.down), channels_last(&raw.up)))
        })
    }

    /// `y` with what the active adapters of a linear layer make of `x` added.
    pub(crate) fn add_linear(&self, x: &Tensor, mut y: Tensor) -> Tensor {
        for (adapter, weight) in self.counting() {
            y += x
                .linear(&adapter.down, None::<&Tensor>)
                .linear(&adapter.up, None::<&Tensor>)
                * weight;
        }
        y
    }

    /// `y` with what the active adapters of a convolution make of `x` added.
    pub(crate) fn add_conv(&self, x: &Tensor, mut y: Tensor, stride: i64, padding: i64) -> Tensor {
        for (adapter, weight) in self.counting() {
            let low = x.conv2d(&adapter.down, None::<&Tensor>, [stride; 2], [padding; 2], [1, 1], 1);
            y += low.conv2d(&adapter.up, None::<&Tensor>, [1, 1], [0, 0], [1, 1], 1) * weight;
        }
        y
    }

    /// Adapters that count now, each with its weight times its scale.
    fn counting(&self) -> impl Iterator<Item = (&Adapter, f64)> {
        self.list
            .iter()
            .map(|adapter| (adapter, self.active.get(adapter.lora) * adapter.scale))
            .filter(|(_, weight)| *weight != 0.0)
    }

    fn take(scope: &Scope<'_>, shaped: impl Fn(&RawAdapter) -> Option<(Tensor, Tensor)>) -> Result<Self, LoadError> {
        let target = scope.target();
        let place = |x: Tensor| x.f_to_kind(target.kind)?.f_to_device(target.device);
        let mut list = Vec::new();
        for raw in scope.take_loras()? {
            // Products of halves are made in the precision of the weights; f32 first, so that nothing is rounded twice.
            let (down, up) = shaped(&raw).ok_or_else(|| {
                let (down, up) = (raw.down.size(), raw.up.size());
                let problem = format!(
                    "has an adapter of {down:?} and {up:?} for {}, which is of another shape",
                    scope.layer().1
                );
                LoadError::file(&raw.file, problem)
            })?;
            list.push(Adapter {
                lora: raw.lora,
                down: place(down.to_kind(Kind::Float))?,
                up: place(up.to_kind(Kind::Float))?,
                scale: raw.scale,
            });
        }
        Ok(Self {
            list,
            active: scope.active_loras(),
        })
    }
}
