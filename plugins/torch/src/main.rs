//! The executable `sensorium-torch`: diffusion.

use std::process::ExitCode;

fn main() -> ExitCode {
    sensorium_torch::memory::keep_freed();
    sensorium_contract::run(sensorium_torch::TorchPlugin)
}
