//! Panics and the death of the engine. While a model loads, panics are errors of the load. After that, a panic of the
//! engine's thread is the end of the process, so that the host starts another. (mistral.rs would start its engine anew by
//! itself, with whatever the old one has left in the model's caches.)

use std::{
    any::Any,
    backtrace::Backtrace,
    panic::{AssertUnwindSafe, catch_unwind},
    process,
    sync::Once,
    time::Duration,
};

use mistralrs::Request;
use tokio::sync::mpsc;

/// What the process ends with when its engine has died; EX_SOFTWARE of sysexits.h.
const DEAD_ENGINE: i32 = 70;

/// Bytes of a panic's way that the log tells.
const MAX_TRACE: usize = 4096;

/// What the log is given to leave the process.
const LAST_WORDS: Duration = Duration::from_millis(50);

/// From now on, panics are lines of the log. Some are caught, and mean nothing more.
pub(crate) fn log_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let place = panic.location().map(ToString::to_string).unwrap_or_default();
            let problem = panic.payload_as_str().unwrap_or("it doesn't say why");
            let thread = std::thread::current();
            let thread = thread.name().unwrap_or("unnamed");
            let mut trace = Backtrace::force_capture().to_string();
            trace.truncate(trace.floor_char_boundary(MAX_TRACE));
            tracing::warn!(thread, place, problem, trace, "a thread panicked");
        }));
    });
}

/// Does `work`; what panics becomes an error with the panic's words.
///
/// # Errors
/// What the panic said.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| words(panic.as_ref()).to_owned())
}

fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("it panicked")
}

/// Ends the process when the engine behind `requests` is gone.
pub(crate) async fn exit_with_engine(requests: mpsc::Sender<Request>) {
    requests.closed().await;
    tracing::error!("the engine has died; this process ends");
    tokio::time::sleep(LAST_WORDS).await;
    process::exit(DEAD_ENGINE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_errors() {
        assert_eq!(guarded(|| 1), Ok(1));
        assert_eq!(
            guarded(|| panic!("it is {}", "late")),
            Err::<(), _>("it is late".to_owned())
        );
    }
}
