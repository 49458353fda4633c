//! Checks that any plugin executable must pass, whatever language it is written in.
//!
//! They need a model: a small one, since it is loaded a few times. They judge a plugin
//! as the host does: by what it prints, answers and returns when it exits.
//!
//! ```text
//! sensorium-conformance ./sensorium-myplugin --model ./tiny-model --options '{"pooling":"mean"}'
//! ```

mod bench;
mod chat;
mod check;
mod embedding;
mod ending;
mod faults;
mod image;
mod loading;
mod report;
mod samples;
mod scheduling;

use std::path::PathBuf;
use std::time::Duration;

use self::bench::Bench;
pub use self::report::{Check, Outcome, Report};
use crate::LoadRequest;

/// What to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// The plugin.
    pub executable: PathBuf,
    /// The model to load; every plugin must accept it, or nothing can be checked.
    pub load: LoadRequest,
    /// What each check may take. Loading counts.
    pub timeout: Duration,
}

// === impl Options ===

impl Options {
    /// A plugin with a model that needs no files and no options, two minutes for each check.
    pub fn new(executable: impl Into<PathBuf>) -> Self {
        Self {
            executable: executable.into(),
            load: LoadRequest::new("conformance"),
            timeout: Duration::from_secs(120),
        }
    }
}

/// Runs every check. What one can't be judged without, it is skipped for. Needs a tokio
/// runtime; leaves no process behind.
pub async fn run(options: &Options) -> Report {
    let mut bench = Bench::new(options);
    loading::check(&mut bench).await;
    embedding::check(&mut bench).await;
    faults::check(&mut bench).await;
    scheduling::check(&mut bench).await;
    chat::check(&mut bench).await;
    image::check(&mut bench).await;
    ending::check(&mut bench).await;
    bench.into_report()
}
