//! Asks an executable what it is, without starting a server.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{ExitCause, Launch, StartError};
use crate::Manifest;

/// An interpreter with its libraries takes its time to start.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Largest manifest, in bytes.
const MAX_OUTPUT: usize = 1 << 20;

/// Runs `EXE describe` and validates the manifest that it prints. Takes at most 30 s and reads at most 1 MiB.
///
/// # Errors
/// If it can't be run, fails, takes too long, or prints something else.
pub async fn describe(executable: &Path) -> Result<Manifest, StartError> {
    let mut child = Launch::new(executable)
        .command()
        .arg("describe")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|source| StartError::Spawn {
            executable: executable.to_owned(),
            source,
        })?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let finished = async { tokio::join!(capture(stdout), capture(stderr), child.wait()) };
    let Ok((output, errors, status)) = tokio::time::timeout(TIMEOUT, finished).await else {
        // Kills and reaps; an error means that it is gone already.
        let _ = child.kill().await;
        return Err(StartError::Timeout {
            limit: TIMEOUT,
            stderr: "(not read)".into(),
        });
    };
    let cause = status.map_or(ExitCause::Unknown, ExitCause::from);
    if !cause.is_success() {
        let errors = String::from_utf8_lossy(&errors);
        let stderr = errors
            .lines()
            .rfind(|line| !line.trim().is_empty())
            .unwrap_or("(none)")
            .to_owned();
        return Err(StartError::Exited { cause, stderr });
    }
    let manifest: Manifest =
        serde_json::from_slice(&output).map_err(|error| StartError::NotAManifest(error.to_string()))?;
    manifest.validate()?;
    Ok(manifest)
}

/// The first bytes of a stream, read to its end, so that the writer never blocks.
async fn capture(stream: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut kept = Vec::new();
    let Some(mut stream) = stream else { return kept };
    let mut chunk = vec![0; 8 << 10];
    while let Ok(read @ 1..) = stream.read(&mut chunk).await {
        kept.extend_from_slice(&chunk[..read.min(MAX_OUTPUT - kept.len())]);
    }
    kept
}
