//! Logs as JSON lines on stderr, for the host to read.

use std::panic::PanicHookInfo;

use tracing_subscriber::EnvFilter;

/// Everything from `tracing` goes to stderr, filtered by `RUST_LOG` (default `info`); so do panics.
pub(super) fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error means that the plugin has set a subscriber of its own, which is then used.
    let _ = subscriber.try_init();
    std::panic::set_hook(Box::new(log_panic));
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string);
    let text = message(panic.payload());
    tracing::error!(location, thread = std::thread::current().name(), "panic: {text}");
}

/// What a panic said.
pub(super) fn message(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}
