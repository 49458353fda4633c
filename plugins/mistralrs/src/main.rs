//! The executable `sensorium-mistralrs`: vision-language and language models on mistral.rs.

use std::process::ExitCode;

fn main() -> ExitCode {
    sensorium_contract::run(sensorium_mistralrs::MistralrsPlugin)
}
