//! `sensorium-conformance ./sensorium-myplugin --model DIR --options JSON`: checks a plugin
//! and exits with status 1 if it breaks the contract.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sensorium_contract::{LoadRequest, conformance};

/// Checks that a plugin keeps the contract.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The plugin's executable.
    executable: PathBuf,
    /// Directory of a (small) model for it to load.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Device to load it on.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Precision to compute in.
    #[arg(long, default_value = "auto")]
    dtype: String,
    /// CPU threads it may keep busy.
    #[arg(long)]
    threads: Option<usize>,
    /// Options of the model, a JSON object.
    #[arg(long, default_value = "{}")]
    options: String,
    /// Seconds that each check may take.
    #[arg(long, default_value_t = 120)]
    timeout: u64,
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(report) => {
            println!("{report}");
            if report.is_success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<conformance::Report, String> {
    let options = conformance::Options {
        executable: std::path::absolute(cli.executable).map_err(|error| error.to_string())?,
        load: LoadRequest {
            model: "conformance".into(),
            path: cli
                .model
                .map(|path| path.canonicalize().map_err(|e| format!("--model: {e}")))
                .transpose()?,
            device: cli.device,
            dtype: cli.dtype,
            threads: cli.threads,
            options: serde_json::from_str(&cli.options)
                .map_err(|error| format!("--options is not a JSON object: {error}"))?,
        },
        timeout: Duration::from_secs(cli.timeout),
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    Ok(runtime.block_on(conformance::run(&options)))
}
