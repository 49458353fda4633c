//! A plugin written in Python from plugin.proto alone keeps the contract.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sensorium_contract::conformance::{Options, run};

/// The interpreter that has grpcio: `SENSORIUM_TEST_PYTHON`, or the repository's own environment.
fn python(repository: &Path) -> Option<PathBuf> {
    let own = repository.join(".venv/bin/python");
    std::env::var_os("SENSORIUM_TEST_PYTHON")
        .map(PathBuf::from)
        .or_else(|| own.exists().then_some(own))
}

#[tokio::test]
async fn a_plugin_in_python_keeps_the_contract() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let Some(python) = python(repository) else {
        println!("skipped: set SENSORIUM_TEST_PYTHON to a Python with tests/plugins/python_embedder/requirements.txt");
        return;
    };
    let script = repository.join("tests/plugins/python_embedder/sensorium-pyhash");
    let directory = tempfile::tempdir().unwrap();
    let executable = directory.path().join("sensorium-pyhash");
    let text = format!("#!/bin/sh\nexec '{}' '{}' \"$@\"\n", python.display(), script.display());
    std::fs::write(&executable, text).unwrap();
    std::fs::set_permissions(&executable, PermissionsExt::from_mode(0o755)).unwrap();
    let report = run(&Options::new(executable)).await;
    assert!(report.is_success(), "{report}");
    assert!(report.passed() >= 25, "{report}");
}
