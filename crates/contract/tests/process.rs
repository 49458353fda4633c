//! Programs that are no plugins, or bad ones: written in shell, seen from the host.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sensorium_contract::process::{ExitCause, Launch, PluginProcess, StartError, describe};
use tempfile::TempDir;

/// A shell script as an executable; it lives as long as the directory.
fn script(text: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sensorium-script");
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    (directory, path)
}

/// Starts a script that is no plugin: why it failed, and what it wrote to stderr.
async fn fails(text: &str, start_timeout: Duration) -> (StartError, Vec<String>) {
    let (_directory, executable) = script(text);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let launch = Launch {
        start_timeout,
        ..Launch::new(executable)
    };
    let started = PluginProcess::start(&launch, move |line| sink.lock().unwrap().push(line.message));
    let error = tokio::time::timeout(Duration::from_secs(60), started)
        .await
        .unwrap()
        .unwrap_err();
    let lines = lines.lock().unwrap().clone();
    (error, lines)
}

const LONG: Duration = Duration::from_secs(50);

#[tokio::test]
async fn a_program_that_fails_is_quoted() {
    let (error, _) = fails("echo 'libcudart.so.12: not found' >&2; exit 3", LONG).await;
    let StartError::Exited { cause, stderr } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (cause, stderr.as_str()),
        (ExitCause::Status(3), "libcudart.so.12: not found")
    );
}

#[tokio::test]
async fn what_is_no_handshake_is_refused() {
    let cases = [
        "echo hello; sleep 100",
        "echo '{}'; sleep 100",
        // No end of line, and no end.
        "cat /dev/zero; sleep 100",
    ];
    for text in cases {
        let (error, _) = fails(text, Duration::from_secs(2)).await;
        let refused = matches!(error, StartError::Handshake { .. });
        assert!(
            refused || matches!(error, StartError::Timeout { .. }),
            "{text}: {error}"
        );
        assert!(error.to_string().len() < 16 << 10, "{text}");
    }
    let (error, _) = fails("echo hello; sleep 100", LONG).await;
    assert!(
        matches!(&error, StartError::Handshake { line } if line == "hello"),
        "{error}"
    );
}

#[tokio::test]
async fn another_major_version_is_refused() {
    let (error, _) = fails(
        r#"echo '{"sensorium":{"protocol":{"major":2,"minor":0}}}'; sleep 100"#,
        LONG,
    )
    .await;
    assert!(matches!(error, StartError::Protocol { .. }), "{error}");
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_refused() {
    let (error, _) = fails(
        r#"echo '{"sensorium":{"protocol":{"major":1,"minor":7}}}'; sleep 100"#,
        LONG,
    )
    .await;
    assert!(matches!(error, StartError::Connect(_)), "{error}");
}

#[tokio::test]
async fn a_program_that_says_nothing_runs_out_of_time() {
    let (error, _) = fails("echo starting >&2; sleep 100", Duration::from_millis(500)).await;
    assert!(matches!(error, StartError::Timeout { .. }), "{error}");
}

#[tokio::test]
async fn a_missing_executable_is_named() {
    let launch = Launch::new("/no/such/sensorium-plugin");
    let error = PluginProcess::start(&launch, |_| {}).await.unwrap_err();
    assert!(error.to_string().contains("/no/such/sensorium-plugin"), "{error}");
}

#[tokio::test]
async fn the_environment_is_clean_and_the_directory_private_and_removed() {
    let text = r#"env >&2; ls -ld "$(dirname "$3")" >&2; echo "socket $3" >&2; exit 1"#;
    let (_directory, executable) = script(text);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = lines.clone();
    let mut launch = Launch::new(executable);
    launch.env.push(("GIVEN".into(), "yes".into()));
    let error = PluginProcess::start(&launch, move |line| sink.lock().unwrap().push(line.message))
        .await
        .unwrap_err();
    assert!(matches!(error, StartError::Exited { .. }), "{error}");
    let lines = lines.lock().unwrap();
    assert!(lines.iter().any(|line| line == "GIVEN=yes"));
    assert!(lines.iter().any(|line| line.starts_with("PATH=")));
    // Cargo sets this one for every test: a stranger to plugins.
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert!(!lines.iter().any(|line| line.starts_with("CARGO_")), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("drwx------")), "{lines:?}");
    let socket = lines.iter().find_map(|line| line.strip_prefix("socket ")).unwrap();
    assert!(!Path::new(socket).parent().unwrap().exists());
}

#[tokio::test]
async fn long_lines_on_stderr_are_cut() {
    let text = "head -c 1000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo last >&2; exit 1";
    let (error, lines) = fails(text, LONG).await;
    assert!(error.to_string().len() < 2000, "{error}");
    assert_eq!(lines.iter().map(String::len).collect::<Vec<_>>(), [64 << 10, 4]);
}

#[tokio::test]
async fn describe_wants_a_manifest_and_nothing_else() {
    let check = async |text: &str| {
        let (_directory, executable) = script(text);
        describe(&executable).await
    };
    let manifest = r#"{"name":"script","version":"1.0.0","protocol":{"major":1,"minor":0},"tasks":["embed"],
        "devices":["cpu"],"a_later_field":true}"#;
    assert_eq!(check(&format!("echo '{manifest}'")).await.unwrap().name, "script");
    let quoted = |error: StartError| error.to_string();
    assert!(quoted(check("echo no").await.unwrap_err()).contains("did not print a manifest"));
    assert!(quoted(check("echo oops >&2; exit 4").await.unwrap_err()).contains("status 4"));
    let bad = manifest.replace("1.0.0", "one");
    assert!(quoted(check(&format!("echo '{bad}'")).await.unwrap_err()).contains("version"));
    // More than is read: the first MiB of it is no manifest.
    assert!(check("head -c 3000000 /dev/zero").await.is_err());
}
