//! `device` and `dtype` of a load request, resolved for this build and this machine.

use mistralrs::{Device, ModelDType};

use crate::error::LoadError;

/// Kinds of device that this build can use, as the manifest lists them.
pub(crate) fn devices() -> Vec<String> {
    match cfg!(feature = "cuda") {
        true => vec!["cpu".to_owned(), "cuda".to_owned()],
        false => vec!["cpu".to_owned()],
    }
}

/// Where a model runs and in what precision, with the names that the host is told.
#[derive(Debug, Clone)]
pub(crate) struct Placement {
    /// Where its tensors live.
    pub(crate) device: Device,
    /// What they are computed in.
    pub(crate) dtype: ModelDType,
    /// `cpu`, `cuda:0`.
    pub(crate) device_name: String,
    /// `f32`, `f16`, `bf16`.
    pub(crate) dtype_name: &'static str,
}

// === impl Placement ===

impl Placement {
    /// `device` is `auto`, `cpu` or `cuda:N`; `dtype` is `auto`, `f32`, `f16` or `bf16`. `auto` takes the first GPU if
    /// this build can use one and it is there, and bf16 on it, f32 on a CPU.
    ///
    /// # Errors
    /// [`LoadError::Request`] if there is no such device or dtype.
    pub(crate) fn resolve(device: &str, dtype: &str) -> Result<Self, LoadError> {
        let (device_name, device) = resolve_device(device)?;
        let (dtype_name, dtype) = match (dtype, device.is_cpu()) {
            ("auto", true) | ("f32", _) => ("f32", ModelDType::F32),
            ("auto", false) | ("bf16", _) => ("bf16", ModelDType::BF16),
            ("f16", _) => ("f16", ModelDType::F16),
            (other, _) => {
                let message = format!("dtype `{other}` is not known; use auto, f32, bf16 or f16");
                return Err(LoadError::Request(message));
            }
        };
        Ok(Self {
            device,
            dtype,
            device_name,
            dtype_name,
        })
    }

    /// True if the GPU computes.
    pub(crate) fn on_gpu(&self) -> bool {
        !self.device.is_cpu()
    }
}

fn resolve_device(device: &str) -> Result<(String, Device), LoadError> {
    let (kind, index) = match device.split_once(':') {
        Some((kind, index)) => (kind, index.parse::<usize>().ok()),
        None => (device, Some(0)),
    };
    match (kind, index) {
        ("auto", Some(0)) => Ok(first_gpu().unwrap_or(("cpu".to_owned(), Device::Cpu))),
        ("cpu", Some(0)) => Ok(("cpu".to_owned(), Device::Cpu)),
        ("cuda", Some(index)) if cfg!(feature = "cuda") => match Device::new_cuda(index) {
            Ok(device) => Ok((format!("cuda:{index}"), device)),
            Err(error) => Err(LoadError::Request(format!(
                "device cuda:{index} can't be used: {error}"
            ))),
        },
        ("cuda", Some(_)) => Err(LoadError::Request(format!(
            "device `{device}` needs a plugin built with the feature cuda (cargo build -p sensorium-mistralrs \
             --features cuda); use cpu or auto"
        ))),
        _ => Err(LoadError::Request(format!(
            "device `{device}` is not known; use auto, cpu or cuda:0"
        ))),
    }
}

fn first_gpu() -> Option<(String, Device)> {
    match cfg!(feature = "cuda") {
        true => Device::new_cuda(0).ok().map(|device| ("cuda:0".to_owned(), device)),
        false => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_resolve_or_say_what_to_use() {
        let cpu = Placement::resolve("cpu", "auto").expect("a CPU is always there");
        assert_eq!((cpu.device_name.as_str(), cpu.dtype_name), ("cpu", "f32"));
        for (device, dtype, part) in [
            ("tpu", "auto", "use auto, cpu or cuda:0"),
            ("cpu", "int8", "use auto, f32"),
            ("cuda:x", "auto", "not known"),
        ] {
            let message = Placement::resolve(device, dtype).expect_err(device).to_string();
            assert!(message.contains(part), "{message}");
        }
    }
}
