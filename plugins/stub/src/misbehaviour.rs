//! Everything that can go wrong with a model, on request.

use std::time::{Duration, Instant};

use rustix::process::{Signal, getpid, kill_process};
use sensorium_contract::{CallContext, ItemError, PluginError};

/// How often a sleeper looks whether it is still wanted.
const NAP: Duration = Duration::from_millis(2);

/// One way to misbehave, written as a text `stub:<this>` or as the option `misbehave_on_load`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Misbehaviour {
    /// `sleep:500ms`: takes that long, or until cancelled.
    Sleep(Duration),
    /// `die:SIGSEGV`: ends by that signal.
    Die(Signal),
    /// `abort`: ends as a failed assertion in C++ does.
    Abort,
    /// `exit:3`: ends with that status, as a library that calls `exit` does.
    Exit(i32),
    /// `hang`: never comes back, cancelled or not.
    Hang,
    /// `panic`: panics.
    Panic,
    /// `error` (the instance's fault), `error:caller`, `error:model`: fails the whole batch.
    Error(PluginError),
    /// `error:item`: fails this one input.
    Item(ItemError),
    /// `grow:64MiB`: holds that much more memory from now on.
    Grow(usize),
    /// `poison`: every later batch fails too, as after a sticky CUDA error.
    Poison,
}

// === impl Misbehaviour ===

impl Misbehaviour {
    /// Understands `stub:…`; `None` for any other text.
    pub(crate) fn from_text(text: &str) -> Option<Self> {
        text.strip_prefix("stub:").and_then(Self::parse)
    }

    /// Understands what follows `stub:`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (verb, argument) = text.split_once(':').unwrap_or((text, ""));
        Some(match (verb, argument) {
            ("sleep", duration) => Self::Sleep(humantime::parse_duration(duration).ok()?),
            ("die", name) => Self::Die(signal(name)?),
            ("exit", status) => Self::Exit(status.parse().ok()?),
            ("abort", "") => Self::Abort,
            ("hang", "") => Self::Hang,
            ("panic", "") => Self::Panic,
            ("poison", "") => Self::Poison,
            ("error", "" | "instance") => Self::Error(PluginError::instance("told to fail")),
            ("error", "caller") => Self::Error(PluginError::caller("told to fail")),
            ("error", "model") => Self::Error(PluginError::model("told to fail")),
            ("error", "item") => Self::Item(ItemError::invalid_input("told to fail")),
            ("grow", size) => Self::Grow(bytes(size)?),
            _ => return None,
        })
    }

    /// Does it. Memory grown goes to `hoard`.
    ///
    /// # Errors
    /// If that is what was asked for.
    pub(crate) fn act(&self, context: &CallContext, hoard: &mut Vec<Vec<u8>>) -> Result<(), PluginError> {
        match self {
            Self::Sleep(duration) => sleep(*duration, context),
            Self::Die(signal) => die(*signal),
            Self::Abort => std::process::abort(),
            Self::Exit(status) => std::process::exit(*status),
            Self::Hang => loop {
                std::thread::park();
            },
            // Misbehaving is what it is for.
            Self::Panic => std::panic::panic_any("told to panic"),
            Self::Error(error) => return Err(error.clone()),
            // Written, not only reserved: the system gives memory on the first write.
            Self::Grow(bytes) => hoard.push(vec![1; *bytes]),
            // These two concern more than this moment: the model acts on them.
            Self::Item(_) | Self::Poison => {}
        }
        Ok(())
    }
}

/// Sleeps, but not past cancellation.
#[allow(clippy::disallowed_methods, reason = "the model's thread is meant to be kept busy")]
pub(crate) fn sleep(duration: Duration, context: &CallContext) {
    let end = Instant::now() + duration;
    while !context.is_cancelled() {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left.min(NAP));
    }
}

/// Ends by a signal. Rust's own handler swallows the first SIGSEGV or SIGBUS that is not
/// about the stack, and puts the default in place: so once more.
#[allow(clippy::disallowed_methods, reason = "the model's thread is meant to be kept busy")]
fn die(signal: Signal) {
    loop {
        // It can't fail: this process exists, and may signal itself.
        let _ = kill_process(getpid(), signal);
        std::thread::sleep(NAP);
    }
}

fn signal(name: &str) -> Option<Signal> {
    Some(match name {
        "SIGABRT" => Signal::ABORT,
        "SIGBUS" => Signal::BUS,
        "SIGFPE" => Signal::FPE,
        "SIGILL" => Signal::ILL,
        "SIGKILL" => Signal::KILL,
        "SIGSEGV" => Signal::SEGV,
        "SIGTERM" => Signal::TERM,
        _ => return None,
    })
}

/// `64MiB`, `4KiB`, `1GiB` or plain bytes, at most 64 GiB.
fn bytes(size: &str) -> Option<usize> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let (number, shift) = units
        .iter()
        .find_map(|(unit, shift)| Some((size.strip_suffix(unit)?, *shift)))
        .unwrap_or((size, 0));
    let bytes = number.trim().parse::<usize>().ok()?.checked_mul(1 << shift)?;
    (bytes <= 64 << 30).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_understood() {
        let check = |text: &str, expected: Option<Misbehaviour>| {
            assert_eq!(Misbehaviour::from_text(text), expected, "{text}");
        };
        check(
            "stub:sleep:500ms",
            Some(Misbehaviour::Sleep(Duration::from_millis(500))),
        );
        check("stub:die:SIGSEGV", Some(Misbehaviour::Die(Signal::SEGV)));
        check("stub:abort", Some(Misbehaviour::Abort));
        check("stub:exit:3", Some(Misbehaviour::Exit(3)));
        check(
            "stub:error",
            Some(Misbehaviour::Error(PluginError::instance("told to fail"))),
        );
        check(
            "stub:error:model",
            Some(Misbehaviour::Error(PluginError::model("told to fail"))),
        );
        check("stub:grow:64MiB", Some(Misbehaviour::Grow(64 << 20)));
        check("stub:grow:17", Some(Misbehaviour::Grow(17)));
        for text in [
            "",
            "stub:",
            "stub:die",
            "stub:die:SIGFOO",
            "stub:grow:99999GiB",
            "stub:abort:now",
            "a stub:abort",
        ] {
            check(text, None);
        }
    }
}
