//! The three ways in which a process is told to end.

use std::time::Duration;

use super::bench::Bench;
use super::check::{Objection, Verdict};
use crate::process::{ExitCause, PluginProcess};

/// What an idle process may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) async fn check(bench: &mut Bench<'_>) {
    bench
        .check("Stop ends the process with status 0", async |bench| {
            let process = bench.take_process().await?;
            process.client().stop(PATIENCE).await?;
            succeeded(ended(&process).await?)
        })
        .await;
    bench
        .check("SIGTERM ends the process with status 0", async |bench| {
            let process = bench.take_process().await?;
            process.terminate();
            succeeded(ended(&process).await?)
        })
        .await;
    bench
        .check("the end of stdin ends the process", async |bench| {
            let process = bench.take_process().await?;
            process.close_stdin();
            ended(&process).await.map(|_| ())
        })
        .await;
}

async fn ended(process: &PluginProcess) -> Result<ExitCause, Objection> {
    match tokio::time::timeout(PATIENCE, process.exited()).await {
        Ok(cause) => Ok(cause),
        Err(_) => Objection::fail(format!("still there after {PATIENCE:?}")),
    }
}

fn succeeded(cause: ExitCause) -> Verdict {
    if cause.is_success() {
        Ok(())
    } else {
        Objection::fail(format!("it {cause}"))
    }
}
