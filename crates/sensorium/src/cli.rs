//! The command line. Every setting of `serve` also has an environment variable; a flag wins.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::size::parse_size;

/// Multimodal inference behind the API that OpenAI's clients speak.
#[derive(Debug, Parser)]
#[command(name = "sensorium", version, about)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the models of a registry
    Serve(Box<ServeOptions>),
    /// Work with registry files
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// List the plugins that are found, with their manifests
    Plugins(PluginPath),
    /// Print the OpenAPI description
    Openapi,
}

/// What to do with a registry.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistryCommand {
    /// Print the JSON Schema of the file
    Schema,
    /// Say what is wrong with a file, with line numbers
    Check(CheckOptions),
}

/// Where plugins are.
#[derive(Debug, Args)]
pub(crate) struct PluginPath {
    /// Directories in which `sensorium-<plugin>` is looked for, before the host's own; separated by `:`
    #[arg(long, env = "SENSORIUM_PLUGIN_PATH", value_delimiter = ':', value_name = "DIRS")]
    pub(crate) plugin_path: Vec<PathBuf>,
}

/// Options of `registry check`.
#[derive(Debug, Args)]
pub(crate) struct CheckOptions {
    /// The registry file
    #[arg(default_value = "models.toml", env = "SENSORIUM_REGISTRY")]
    pub(crate) registry: PathBuf,
    #[command(flatten)]
    pub(crate) plugins: PluginPath,
}

/// Options of `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeOptions {
    /// The registry file: which models there are. It is watched
    #[arg(long, env = "SENSORIUM_REGISTRY", default_value = "models.toml", value_name = "FILE")]
    pub(crate) registry: PathBuf,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, env = "SENSORIUM_LISTEN", default_value = "127.0.0.1:8080", value_parser = parse_address)]
    pub(crate) listen: SocketAddr,
    #[command(flatten)]
    pub(crate) plugins: PluginPath,
    /// Switch the embedding cache off
    #[arg(long, env = "SENSORIUM_NO_CACHE", num_args = 0..=1, default_missing_value = "true", default_value = "false")]
    pub(crate) no_cache: bool,
    /// Memory that the embedding cache may take
    #[arg(long, env = "SENSORIUM_CACHE_BYTES", default_value = "256MiB", value_parser = parse_size, value_name = "SIZE")]
    pub(crate) cache_bytes: u64,
    /// Largest request body
    #[arg(long, env = "SENSORIUM_MAX_BODY", default_value = "64MiB", value_parser = parse_size, value_name = "SIZE")]
    pub(crate) max_body: u64,
    /// Memory that all request bodies may take together
    #[arg(long, env = "SENSORIUM_BODY_BUDGET", default_value = "512MiB", value_parser = parse_size, value_name = "SIZE")]
    pub(crate) body_budget: u64,
    /// Deadline of a request that names none
    #[arg(long, env = "SENSORIUM_TIMEOUT", default_value = "60s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) timeout: Duration,
    /// The same for a chat or a completion; by default as long as OpenAI's own clients wait
    #[arg(long, env = "SENSORIUM_CHAT_TIMEOUT", default_value = "10m", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) chat_timeout: Duration,
    /// The same for images
    #[arg(long, env = "SENSORIUM_IMAGE_TIMEOUT", default_value = "10m", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) image_timeout: Duration,
    /// Memory of the images that links lead to; the oldest go first
    #[arg(long, env = "SENSORIUM_KEPT_IMAGES", default_value = "256MiB", value_parser = parse_size, value_name = "SIZE")]
    pub(crate) kept_images: u64,
    /// Where clients reach this server, for links to images; by default where their request came to
    #[arg(long, env = "SENSORIUM_PUBLIC_URL", value_name = "URL")]
    pub(crate) public_url: Option<String>,
    /// The model that ranks images for best_of; by default the only one that matches images with text
    #[arg(long, env = "SENSORIUM_SCORING_MODEL", value_name = "ID")]
    pub(crate) scoring_model: Option<String>,
    /// Longest deadline that a request may ask for
    #[arg(long, env = "SENSORIUM_MAX_TIMEOUT", default_value = "10m", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) max_timeout: Duration,
    /// How long running requests may take to finish when the server stops
    #[arg(long, env = "SENSORIUM_GRACE", default_value = "30s", value_parser = parse_duration, value_name = "TIME")]
    pub(crate) grace: Duration,
    /// Threads that serve connections; by default one a core
    #[arg(long, env = "SENSORIUM_WORKERS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) workers: Option<u16>,
    /// What image URLs may reach although it is not public: `host[:port]` or `10.0.0.0/8[:port]`, separated by `,`
    #[arg(long, env = "SENSORIUM_MEDIA_ALLOW", value_delimiter = ',', value_name = "HOSTS")]
    pub(crate) media_allow: Vec<String>,
    /// How to write logs; by default text on a terminal and JSON elsewhere
    #[arg(long, env = "SENSORIUM_LOG_FORMAT", value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// What to log: a level, or `target=level` pairs
    #[arg(long, env = "SENSORIUM_LOG", default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

/// How to write logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let mut addresses = text
        .to_socket_addrs()
        .map_err(|error| format!("{error}: write HOST:PORT"))?;
    addresses.next().ok_or_else(|| "the host has no address".to_owned())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}: write 500ms, 60s or 10m"))?;
    if duration.is_zero() {
        Err("must be longer than nothing".to_owned())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_parsed() {
        let line = [
            "sensorium",
            "serve",
            "--no-cache",
            "--listen",
            "localhost:0",
            "--max-body",
            "1MiB",
            "--timeout",
            "2s",
        ];
        let Command::Serve(options) = Cli::parse_from(line).command else {
            panic!("not serve")
        };
        assert!(options.no_cache);
        assert_eq!((options.max_body, options.timeout), (1 << 20, Duration::from_secs(2)));
        assert_eq!(options.listen.port(), 0);
    }
}
