//! Plugin processes: found by name, started, watched, always reaped.

mod describe;
mod environment;
mod exit;
mod find;
mod lines;
mod logs;
mod supervisor;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{ChildStdout, Command};

pub use self::describe::describe;
pub use self::exit::ExitCause;
pub use self::find::find_plugin;
use self::lines::BoundedLines;
pub use self::logs::LogLine;
use self::logs::{LastLine, pump};
use self::supervisor::Supervisor;
use crate::client::PluginClient;
use crate::handshake::Handshake;
use crate::{Invalid, MessageLimits, PROTOCOL, ProtocolVersion};

/// How the names of the sockets' directories begin.
pub(crate) const DIRECTORY_PREFIX: &str = "sensorium-";

/// How much longer than its grace period a process is waited for before it is killed.
const STOP_SLACK: Duration = Duration::from_millis(500);

/// How to start one plugin process.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The executable; see [`find_plugin`].
    pub executable: PathBuf,
    /// Message limits of both ends.
    pub limits: MessageLimits,
    /// From spawning to a connected socket.
    pub start_timeout: Duration,
    /// Added to the environment. Of the host's own only what programs need to run is passed on (`PATH`,
    /// `HOME`, `CUDA_*`, `RUST_LOG` …), never what may be a secret.
    pub env: Vec<(String, String)>,
}

/// A running plugin process. Dropping it kills the process, which is then reaped, its
/// socket's directory removed.
#[derive(Debug)]
pub struct PluginProcess {
    supervisor: Supervisor,
    client: PluginClient,
    protocol: ProtocolVersion,
}

/// Why a plugin did not start. `stderr` is the last line it wrote there.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The executable can't be run.
    #[error("cannot run {}: {source}", executable.display())]
    Spawn {
        /// What was to be run.
        executable: PathBuf,
        /// Why it was not.
        source: std::io::Error,
    },
    /// No private directory for the socket.
    #[error("cannot make a directory for the socket: {0}")]
    Directory(#[source] std::io::Error),
    /// It was not ready in time.
    #[error("not ready within {limit:?}; last line on stderr: {stderr}")]
    Timeout {
        /// The time it had.
        limit: Duration,
        /// What it last said.
        stderr: String,
    },
    /// It exited first.
    #[error("{cause} before it was ready; last line on stderr: {stderr}")]
    Exited {
        /// How it ended.
        cause: ExitCause,
        /// What it last said.
        stderr: String,
    },
    /// The first line on stdout is not a handshake.
    #[error("the first line on stdout is not the handshake: \"{}\"", line.escape_debug())]
    Handshake {
        /// The line, cut where it is long.
        line: String,
    },
    /// Host and plugin speak different major versions.
    #[error("it speaks protocol {theirs} and this host {ours}; rebuild it against this version's plugin.proto")]
    Protocol {
        /// The plugin's.
        theirs: ProtocolVersion,
        /// The host's.
        ours: ProtocolVersion,
    },
    /// The socket does not accept connections, though the handshake said so.
    #[error("the socket does not accept connections: {0}")]
    Connect(String),
    /// `describe` printed something else than a manifest.
    #[error("`describe` did not print a manifest: {0}")]
    NotAManifest(String),
    /// `describe` printed a manifest that breaks the contract.
    #[error("the manifest breaks the contract: {0}")]
    Manifest(#[from] Invalid),
}

// === impl Launch ===

impl Launch {
    /// An executable with default limits, 30 s to start, and nothing added to its environment.
    pub fn new(executable: impl Into<PathBuf>) -> Self {
        Self {
            executable: executable.into(),
            limits: MessageLimits::default(),
            start_timeout: Duration::from_secs(30),
            env: Vec::new(),
        }
    }

    /// A command in the cleaned environment, in a process group of its own: ^C in the host's
    /// terminal is the host's to handle.
    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .env_clear()
            .envs(environment::inherited())
            .envs(self.env.iter().map(|(k, v)| (k, v)));
        command.process_group(0).kill_on_drop(true);
        command
    }
}

// === impl PluginProcess ===

impl PluginProcess {
    /// Makes a private directory, runs `EXE serve --socket S --max-message-bytes N`, reads the
    /// handshake and connects. `logs` gets every line that the process writes to stderr.
    /// Dropping the future kills the process. Needs a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub async fn start(
        launch: &Launch,
        logs: impl Fn(LogLine) + Send + Sync + 'static,
    ) -> Result<PluginProcess, StartError> {
        let directory = tempfile::Builder::new()
            .prefix(DIRECTORY_PREFIX)
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700))
            .tempdir()
            .map_err(StartError::Directory)?;
        let socket = directory.path().join("plugin.sock");
        let mut child = launch
            .command()
            .arg("serve")
            .arg("--socket")
            .arg(&socket)
            .arg("--max-message-bytes")
            .arg(launch.limits.max_message_bytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| StartError::Spawn {
                executable: launch.executable.clone(),
                source,
            })?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let last_line = LastLine::default();
        let logs: Arc<logs::Sink> = Arc::new(logs);
        if let Some(stderr) = stderr {
            tokio::spawn(pump(
                BoundedLines::new(stderr, logs::MAX_LINE),
                logs.clone(),
                last_line.clone(),
            ));
        }
        let supervisor = Supervisor::spawn(child, directory);
        let ready = ready(stdout, &socket, launch.limits);
        let (client, protocol, stdout) = tokio::select! {
            biased;
            ready = tokio::time::timeout(launch.start_timeout, ready) => match ready {
                Ok(Ok(ready)) => ready,
                // A process that dies closes its stdout a moment before it can be reaped.
                Ok(Err(error)) => return Err(supervisor.died_or(error, &last_line).await),
                Err(_) => {
                    return Err(StartError::Timeout { limit: launch.start_timeout, stderr: last_line.get() });
                }
            },
            cause = supervisor.exited() => return Err(last_line.died(cause).await),
        };
        // Nothing more is due on stdout, but a library may write there, and a full pipe would block it.
        tokio::spawn(pump(stdout, logs, last_line));
        Ok(Self {
            supervisor,
            client,
            protocol,
        })
    }

    /// A client of this process; cheap.
    pub fn client(&self) -> PluginClient {
        self.client.clone()
    }

    /// The version of the protocol that the process speaks; its major number is the host's.
    pub fn protocol(&self) -> ProtocolVersion {
        self.protocol
    }

    /// The process id; `None` once it has been reaped.
    pub fn pid(&self) -> Option<u32> {
        self.supervisor.pid()
    }

    /// Resolves when the process has ended and has been reaped. May be called any number of times, and
    /// outlives `self`.
    pub fn exited(&self) -> impl Future<Output = ExitCause> + Send + 'static {
        self.supervisor.exited()
    }

    /// Kills it now. [`exited`](Self::exited) resolves soon after.
    pub fn kill(&self) {
        self.supervisor.kill();
    }

    /// Sends SIGTERM: it finishes what runs, then exits.
    pub fn terminate(&self) {
        self.supervisor.terminate();
    }

    /// Closes its stdin, as the death of the host would: it exits at once.
    pub fn close_stdin(&self) {
        self.supervisor.close_stdin();
    }

    /// Lets it finish what runs within `grace`, and kills it if it is still there then.
    pub async fn stop(self, grace: Duration) -> ExitCause {
        let exited = self.exited();
        let ended = async {
            // Whether it heard or not, what counts is that it exits.
            let _ = self.client.stop(grace).await;
            exited.await
        };
        match tokio::time::timeout(grace + STOP_SLACK, ended).await {
            Ok(cause) => cause,
            Err(_) => {
                self.kill();
                self.exited().await
            }
        }
    }
}

type Ready = (PluginClient, ProtocolVersion, BoundedLines<ChildStdout>);

/// Reads the handshake and connects.
async fn ready(stdout: Option<ChildStdout>, socket: &Path, limits: MessageLimits) -> Result<Ready, StartError> {
    let not_a_handshake = |line: &[u8]| StartError::Handshake {
        line: String::from_utf8_lossy(line).into_owned(),
    };
    let stdout = stdout.ok_or_else(|| not_a_handshake(b""))?;
    let mut stdout = BoundedLines::new(stdout, Handshake::MAX_BYTES);
    let line = stdout.next().await.ok().flatten().unwrap_or_default();
    let theirs = Handshake::parse(&line).map_err(|_| not_a_handshake(&line))?.protocol();
    if !theirs.is_compatible_with(PROTOCOL) {
        return Err(StartError::Protocol { theirs, ours: PROTOCOL });
    }
    let client = PluginClient::connect(socket, limits)
        .await
        .map_err(|error| StartError::Connect(chain(&error)))?;
    Ok((client, theirs, stdout))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
