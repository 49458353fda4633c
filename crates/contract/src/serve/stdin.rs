//! The host holds the other end of stdin: when it closes, the host is gone.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

use crate::process::DIRECTORY_PREFIX;

/// What the handlers that run at exit may take. A hung library must not keep the process alive.
const EXIT_TIME: Duration = Duration::from_secs(2);

/// Ends the process, from a thread of its own, as soon as stdin does.
#[allow(clippy::disallowed_methods, reason = "a thread of its own has nothing else to do")]
pub(super) fn exit_at_end(socket: PathBuf) {
    std::thread::spawn(move || {
        wait_for_end();
        clean_up(&socket);
        std::thread::spawn(|| {
            std::thread::sleep(EXIT_TIME);
            // An error would mean that this process is gone already.
            let _ = kill_process(getpid(), Signal::KILL);
        });
        std::process::exit(0);
    });
}

fn wait_for_end() {
    let mut stdin = std::io::stdin().lock();
    let mut ignored = [0; 256];
    loop {
        match stdin.read(&mut ignored) {
            Ok(1..) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
        }
    }
}

/// A host that was killed could not remove the directory that it had made for the socket.
fn clean_up(socket: &Path) {
    // Errors mean that it is gone already, or holds something of somebody else's.
    let _ = std::fs::remove_file(socket);
    if let Some(directory) = socket.parent()
        && directory
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(DIRECTORY_PREFIX))
    {
        let _ = std::fs::remove_dir(directory);
    }
}
