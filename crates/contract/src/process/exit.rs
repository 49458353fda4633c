//! How a process ended.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCause {
    /// It exited by itself; 0 is success.
    Status(i32),
    /// A signal ended it.
    Signal(i32),
    /// The system could not tell.
    Unknown,
}

// === impl ExitCause ===

impl ExitCause {
    /// True if it exited by itself with status 0.
    pub fn is_success(self) -> bool {
        self == ExitCause::Status(0)
    }
}

impl From<ExitStatus> for ExitCause {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => ExitCause::Status(code),
            (None, Some(signal)) => ExitCause::Signal(signal),
            (None, None) => ExitCause::Unknown,
        }
    }
}

impl std::fmt::Display for ExitCause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ExitCause::Status(code) => write!(f, "exited with status {code}"),
            ExitCause::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "killed by signal {signal} ({name})"),
                None => write!(f, "killed by signal {signal}"),
            },
            ExitCause::Unknown => write!(f, "ended in an unknown way"),
        }
    }
}

/// The signals that end a program, where their numbers are the same everywhere.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        _ if signal == rustix::process::Signal::BUS.as_raw() => "SIGBUS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_a_sentence() {
        let check = |cause: ExitCause, expected: &str| assert_eq!(cause.to_string(), expected);
        check(ExitStatus::from_raw(3 << 8).into(), "exited with status 3");
        check(ExitStatus::from_raw(11).into(), "killed by signal 11 (SIGSEGV)");
        check(ExitCause::Signal(64), "killed by signal 64");
        assert!(ExitCause::Status(0).is_success());
        assert!(!ExitCause::Signal(9).is_success());
    }
}
