//! `device` and `dtype` of a load request, resolved for this libtorch and this machine.

use tch::{Cuda, Device, Kind};

use crate::{Target, error::LoadError};

/// Kinds of device that can be used here, as the manifest lists them.
pub(crate) fn devices() -> Vec<String> {
    match Cuda::is_available() {
        true => vec!["cpu".to_owned(), "cuda".to_owned()],
        false => vec!["cpu".to_owned()],
    }
}

/// Where a model runs and in what precision, with the names that the host is told.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    /// What weights are made for.
    pub(crate) target: Target,
    /// `cpu`, `cuda:0`.
    pub(crate) device: String,
    /// `f32`, `f16`, `bf16`.
    pub(crate) dtype: &'static str,
}

// === impl Placement ===

impl Placement {
    /// `device` is `auto`, `cpu` or `cuda:N`; `dtype` is `auto`, `f32`, `f16` or `bf16`. `auto` takes the first GPU if
    /// there is one, and bf16 on it, f32 on a CPU.
    ///
    /// # Errors
    /// [`LoadError::Request`] if there is no such device or dtype.
    pub(crate) fn resolve(device: &str, dtype: &str) -> Result<Self, LoadError> {
        let (name, device) = resolve_device(device)?;
        let on_gpu = device != Device::Cpu;
        let (kind, dtype) = match (dtype, on_gpu) {
            ("auto", false) | ("f32", _) => (Kind::Float, "f32"),
            ("auto", true) | ("bf16", _) => (Kind::BFloat16, "bf16"),
            ("f16", _) => (Kind::Half, "f16"),
            (other, _) => {
                let message = format!("dtype `{other}` is not known; use auto, f32, bf16 or f16");
                return Err(LoadError::Request(message));
            }
        };
        Ok(Self {
            target: Target { device, kind },
            device: name,
            dtype,
        })
    }

    /// True on a GPU.
    pub(crate) fn on_gpu(&self) -> bool {
        self.target.device != Device::Cpu
    }
}

fn resolve_device(device: &str) -> Result<(String, Device), LoadError> {
    let (kind, index) = match device.split_once(':') {
        Some((kind, index)) => (kind, index.parse::<usize>().ok()),
        None => (device, Some(0)),
    };
    let cuda = |index| (format!("cuda:{index}"), Device::Cuda(index));
    match (kind, index) {
        ("auto", Some(0)) if Cuda::is_available() => Ok(cuda(0)),
        ("auto" | "cpu", Some(0)) => Ok(("cpu".to_owned(), Device::Cpu)),
        ("cuda", Some(index)) if (index as i64) < Cuda::device_count() => Ok(cuda(index)),
        ("cuda", Some(index)) => Err(LoadError::Request(format!(
            "device cuda:{index} can't be used: libtorch sees {} of them; build with `make build CUDA=1` where there is one, \
             or use cpu or auto",
            Cuda::device_count()
        ))),
        _ => Err(LoadError::Request(format!(
            "device `{device}` is not known; use auto, cpu or cuda:0"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_or_say_what_to_use() {
        let cpu = Placement::resolve("cpu", "auto").expect("a CPU is always there");
        assert_eq!((cpu.device.as_str(), cpu.dtype), ("cpu", "f32"));
        assert_eq!(
            Placement::resolve("cpu", "bf16").expect("bf16 is a dtype").dtype,
            "bf16"
        );
        for (device, dtype, part) in [
            ("tpu", "auto", "use auto, cpu or cuda:0"),
            ("cpu", "int8", "use auto, f32"),
            ("cuda:x", "auto", "not known"),
            ("cuda:999", "auto", "can't be used"),
        ] {
            let message = Placement::resolve(device, dtype).expect_err(device).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
