//! The host binary: parses, builds, runs, drains.
#![forbid(unsafe_code)]

mod cli;
mod logging;
mod plugins;
mod registry;
mod serve;
mod signals;
mod size;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command, RegistryCommand};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(options) => on_runtime(serve::serve(*options)),
        Command::Registry(RegistryCommand::Schema) => registry::schema(),
        Command::Registry(RegistryCommand::Check(options)) => on_runtime(registry::check(options)),
        Command::Plugins(options) => on_runtime(plugins::list(&options)),
        Command::Openapi => {
            print!("{}", sensorium_api::openapi_json());
            Ok(())
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sensorium: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn on_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(work);
    // Threads that still read a file or resolve a name must not hold up the exit.
    runtime.shutdown_background();
    done
}
