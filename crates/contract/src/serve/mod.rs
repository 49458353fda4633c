//! The plugin's end of the socket.

use std::process::ExitCode;

use crate::Plugin;

/// A plugin's whole `main`.
pub fn run(_plugin: impl Plugin) -> ExitCode {
    ExitCode::FAILURE
}
