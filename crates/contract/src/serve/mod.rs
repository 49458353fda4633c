//! The plugin's end of the socket: everything that a plugin written in Rust need not do itself.
//!
//! One thread serves the socket, so that health is answered whatever is being computed; one
//! thread owns the model, loads it and computes; one thread watches stdin, so that the
//! process ends with its host even if both others hang.

mod chatter;
mod embedder;
mod imager;
mod lifecycle;
mod logging;
mod model;
mod router;
mod shutdown;
mod stdin;
mod streamed;
mod work;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use self::model::ModelSlot;
use self::router::Services;
use self::shutdown::Shutdown;
use crate::handshake::Handshake;
use crate::{Manifest, MessageLimits, Plugin};

/// How many cancelled calls the host may have in the pipe before HTTP/2 takes it for an attack.
const MAX_CANCELLED_STREAMS: usize = 4096;

/// Largest HTTP/2 frame: pixels come in few large pieces.
const FRAME_BYTES: u32 = 1 << 20;

#[derive(Debug, Parser)]
#[command(about = "A model plugin of Sensorium. The host runs it; `describe` says what it is.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print the manifest as JSON.
    Describe,
    /// Serve one instance of one model; exits at the end of stdin.
    Serve(ServeArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Unix socket to listen on; must not exist yet.
    #[arg(long)]
    socket: PathBuf,
    /// Largest message that either end sends.
    #[arg(long, default_value_t = MessageLimits::default().max_message_bytes)]
    max_message_bytes: usize,
}

/// A plugin's whole `main`: reads the command line, then describes or serves.
pub fn run(plugin: impl Plugin) -> ExitCode {
    let manifest = plugin.manifest();
    if let Err(invalid) = manifest.validate() {
        eprintln!("the manifest of this plugin breaks the contract: {invalid}");
        return ExitCode::FAILURE;
    }
    match Cli::parse().command {
        Command::Describe => match describe(&manifest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Command::Serve(args) => {
            stdin::exit_at_end(args.socket.clone());
            logging::start();
            match serve(Arc::new(plugin), manifest, &args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    tracing::error!("{error}");
                    ExitCode::FAILURE
                }
            }
        }
    }
}

fn describe(manifest: &Manifest) -> std::io::Result<()> {
    let json = serde_json::to_string_pretty(manifest)?;
    writeln!(std::io::stdout(), "{json}")
}

/// Serves until told to stop.
fn serve(plugin: Arc<dyn Plugin>, manifest: Manifest, args: &ServeArgs) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let limits = MessageLimits {
        max_message_bytes: args.max_message_bytes,
    };
    runtime.block_on(async {
        let listener = UnixListener::bind(&args.socket)
            .map_err(|error| format!("cannot listen on {}: {error}", args.socket.display()))?;
        let model = Arc::new(ModelSlot::new(plugin, manifest));
        let (stop, shutdown) =
            Shutdown::new(model.clone()).map_err(|error| format!("cannot watch for signals: {error}"))?;
        let services = Services::new(model.clone(), stop, limits);
        greet(model.manifest()).map_err(|error| format!("cannot write the handshake: {error}"))?;
        let server = Server::builder()
            .initial_stream_window_size(MessageLimits::WINDOW_BYTES)
            .initial_connection_window_size(2 * MessageLimits::WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .http2_max_pending_accept_reset_streams(Some(MAX_CANCELLED_STREAMS))
            .serve_with_incoming_shutdown(services, UnixListenerStream::new(listener), shutdown.drained());
        tokio::select! {
            served = server => served.map_err(|error| format!("serving ended: {error}")),
            () = shutdown.flushed() => Ok(()),
        }
    })
}

/// Tells the host that the socket accepts connections.
fn greet(manifest: &Manifest) -> std::io::Result<()> {
    let line = Handshake::new(manifest.protocol).to_line()?;
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{line}")?;
    stdout.flush()
}
