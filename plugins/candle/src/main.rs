//! The executable `sensorium-candle`: CLIP-like models and text embedders.

use std::process::ExitCode;

fn main() -> ExitCode {
    sensorium_contract::run(sensorium_candle::CandlePlugin)
}
