//! The binary as operators use it: what it prints, how it starts, and how it stops.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything takes, even on a busy machine; only failing tests wait for so long.
const PATIENCE: Duration = Duration::from_secs(60);

const STUB: &str = "[[model]]\nid = \"stub\"\nplugin = \"stub\"\nload = \"eager\"\n";

fn sensorium(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sensorium"));
    command
        .args(arguments)
        .env_remove("SENSORIUM_REGISTRY")
        .env_remove("SENSORIUM_LISTEN");
    command
}

fn run(arguments: &[&str]) -> Output {
    sensorium(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn registry(directory: &TempDir, content: &str) -> String {
    let path = directory.path().join("models.toml");
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A server that was started; killed if the test fails before it stops.
struct Served {
    child: Child,
    stdout: BufReader<ChildStdout>,
    address: String,
}

impl Served {
    fn start(registry: &str, log: &Path) -> Served {
        let mut child = sensorium(&["serve", "--registry", registry, "--listen", "127.0.0.1:0", "--no-cache"])
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(log).unwrap())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("{line:?}"));
        let address = address.split_whitespace().next().unwrap().to_owned();
        Served { child, stdout, address }
    }

    fn status(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    fn until(&self, what: &str, done: impl Fn(&str) -> bool, path: &str) {
        let begin = Instant::now();
        while !done(&self.status(path)) {
            assert!(begin.elapsed() < PATIENCE, "{what}");
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit code, and what it printed after the first line.
    fn wait(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_prints_the_description_and_the_schema() {
    let description: serde_json::Value = serde_json::from_slice(&run(&["openapi"]).stdout).unwrap();
    assert_eq!(description["info"]["title"], "Sensorium");
    let schema: serde_json::Value = serde_json::from_slice(&run(&["registry", "schema"]).stdout).unwrap();
    assert!(schema["properties"]["model"].is_object(), "{schema}");
}

#[test]
fn it_lists_plugins() {
    let listed = run(&["plugins"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));
    let manifests: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let names: Vec<_> = manifests
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["manifest"]["name"].clone())
        .collect();
    assert!(names.contains(&"stub".into()), "{names:?}");
    // The suite lies beside the plugins, and is none.
    assert!(
        !text(&listed.stderr).contains("conformance"),
        "{}",
        text(&listed.stderr)
    );
}

#[test]
fn it_checks_registries() {
    let directory = tempfile::tempdir().unwrap();
    let good = run(&["registry", "check", &registry(&directory, STUB)]);
    assert!(good.status.success(), "{}", text(&good.stderr));
    let path = registry(&directory, &format!("{STUB}colour = \"red\"\n"));
    let bad = run(&["registry", "check", &path]);
    assert_eq!(bad.status.code(), Some(1));
    assert!(
        text(&bad.stderr).contains(":5:") && text(&bad.stderr).contains("colour"),
        "{}",
        text(&bad.stderr)
    );
    let served = run(&["serve", "--registry", &path, "--listen", "127.0.0.1:0"]);
    assert_eq!(served.status.code(), Some(1));
    assert!(text(&served.stderr).contains("colour"), "{}", text(&served.stderr));
}

#[test]
fn a_port_in_use_is_said_clearly() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = run(&["serve", "--registry", &registry(&directory, STUB), "--listen", &address]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused.stderr);
    assert!(
        said.contains(&format!("can't listen on {address}")) && said.contains("--listen"),
        "{said}"
    );
}

#[test]
fn signals_reload_and_stop() {
    let directory = tempfile::tempdir().unwrap();
    let path = registry(&directory, STUB);
    for signal in [Signal::TERM, Signal::INT] {
        std::fs::write(&path, STUB).unwrap();
        let log = directory.path().join("log");
        let server = Served::start(&path, &log);
        server.until("it is ready", |reply| reply.starts_with("HTTP/1.1 200"), "/readyz");
        std::fs::write(&path, STUB.replace("\"stub\"\nplugin", "\"other\"\nplugin")).unwrap();
        server.signal(Signal::HUP);
        server.until(
            "the registry is read again",
            |reply| reply.contains("\"other\""),
            "/v1/models",
        );
        server.signal(signal);
        let (code, _) = server.wait();
        assert_eq!(code, Some(0), "{}", std::fs::read_to_string(&log).unwrap());
    }
}
