//! The task that owns a child process: it waits for it, kills it when told, and reaps it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::logs::LastLine;
use super::{ExitCause, StartError};

/// How long a process that has closed its stdout has to be gone.
const DYING: Duration = Duration::from_secs(1);

/// A handle of a supervised process. Dropping it kills the process.
#[derive(Debug)]
pub(super) struct Supervisor {
    pid: Option<u32>,
    /// Its end of file tells the plugin that the host is gone.
    stdin: Arc<Mutex<Option<ChildStdin>>>,
    kill: CancellationToken,
    exited: watch::Receiver<Option<ExitCause>>,
}

// === impl Supervisor ===

impl Supervisor {
    /// Takes the process and the directory of its socket, which goes when it does.
    pub(super) fn spawn(mut child: Child, directory: TempDir) -> Self {
        let kill = CancellationToken::new();
        let (sender, exited) = watch::channel(None);
        let pid = child.id();
        // Taken, because `Child::wait` would close it.
        let stdin = Arc::new(Mutex::new(child.stdin.take()));
        tokio::spawn(supervise(child, directory, kill.clone(), sender));
        Self {
            pid,
            stdin,
            kill,
            exited,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        if self.exited.borrow().is_some() { None } else { self.pid }
    }

    /// At once, not when the task next runs: the runtime may be going down with the caller.
    pub(super) fn kill(&self) {
        if let Some(group) = self.pid().and_then(group) {
            kill_group(group);
        }
        self.kill.cancel();
    }

    /// Closes its stdin, as the death of this process would.
    pub(super) fn close_stdin(&self) {
        self.stdin.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Sends it SIGTERM.
    pub(super) fn terminate(&self) {
        if let Some(pid) = self.pid().and_then(group) {
            // An error means that it has just ended.
            let _ = kill_process(pid, Signal::TERM);
        }
    }

    pub(super) fn exited(&self) -> impl Future<Output = ExitCause> + Send + 'static {
        let mut exited = self.exited.clone();
        async move {
            let cause = exited.wait_for(Option::is_some).await;
            // An error means that the runtime, and the task with it, is going down.
            cause.ok().and_then(|cause| *cause).unwrap_or(ExitCause::Unknown)
        }
    }

    /// That the process ended, if it does so now; else `error`.
    pub(super) async fn died_or(&self, error: StartError, last_line: &LastLine) -> StartError {
        match tokio::time::timeout(DYING, self.exited()).await {
            Ok(cause) => last_line.died(cause).await,
            Err(_) => error,
        }
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn supervise(
    mut child: Child,
    directory: TempDir,
    kill: CancellationToken,
    exited: watch::Sender<Option<ExitCause>>,
) {
    let group = child.id().and_then(group);
    let status = tokio::select! {
        status = child.wait() => status,
        () = kill.cancelled() => {
            // An error means that it has just ended.
            let _ = child.start_kill();
            child.wait().await
        }
    };
    // What it has started itself must not outlive it. Its own number has been free for
    // microseconds only, and the system hands numbers out in turn.
    if let Some(group) = group {
        kill_group(group);
    }
    drop(directory);
    exited.send_replace(Some(status.map_or(ExitCause::Unknown, ExitCause::from)));
}

/// Every plugin leads a process group of its own, numbered as itself.
fn group(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

fn kill_group(group: Pid) {
    // An error means that nobody is left.
    let _ = kill_process_group(group, Signal::KILL);
}
