//! The host holds the other end of stdin: when it closes, the host is gone.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use rustix::process::{Signal, getpid, kill_process};

/// What the handlers that run at exit may take. A hung library must not keep the process alive.
const EXIT_TIME: Duration = Duration::from_secs(2);

/// Ends the process, from a thread of its own, as soon as stdin does.
pub(super) fn exit_at_end() {
    std::thread::spawn(|| {
        wait_for_end();
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
