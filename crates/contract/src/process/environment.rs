//! What of the host's environment a plugin sees: what programs need to run, and no secrets.

use std::ffi::OsString;

const NAMES: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "DYLD_FALLBACK_LIBRARY_PATH",
    "RUST_LOG",
    "RUST_BACKTRACE",
];

const PREFIXES: &[&str] = &[
    "LC_", "CUDA_", "NVIDIA_", "NCCL_", "CUBLAS_", "RAYON_", "OMP_", "MKL_", "HF_",
];

/// Only the host talks to the model hub, so even `HF_TOKEN` stays with it.
const SECRETS: &[&str] = &["TOKEN", "SECRET", "PASSWORD", "KEY", "CREDENTIAL"];

/// The variables of this process that its plugins inherit.
pub(super) fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(is_inherited))
}

fn is_inherited(name: &str) -> bool {
    let listed = NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    listed && !SECRETS.iter().any(|secret| name.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_need_is_kept_and_secrets_are_not() {
        for name in [
            "PATH",
            "HOME",
            "CUDA_VISIBLE_DEVICES",
            "RAYON_NUM_THREADS",
            "HF_HOME",
            "RUST_LOG",
            "LC_ALL",
        ] {
            assert!(is_inherited(name), "{name}");
        }
        for name in [
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "AWS_SECRET_ACCESS_KEY",
            "SENSORIUM_API_KEY",
            "DATABASE_URL",
            "path",
        ] {
            assert!(!is_inherited(name), "{name}");
        }
    }
}
