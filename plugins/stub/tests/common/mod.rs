//! What the tests of a running stub share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sensorium_contract::client::{CallError, PluginClient};
use sensorium_contract::process::{ExitCause, Launch, LogLine, PluginProcess};
use sensorium_contract::{Capabilities, EmbedInput, Embedding, ItemError, LoadRequest};

/// Bound of every wait; never reached where things work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Width of the stub's vectors by default.
pub(crate) const WIDTH: u32 = 64;

/// A running stub and what it has logged.
pub(crate) struct Stub {
    pub(crate) process: PluginProcess,
    pub(crate) client: PluginClient,
    pub(crate) logs: Arc<Mutex<Vec<LogLine>>>,
}

pub(crate) type Embedded = Result<Vec<Result<Embedding, ItemError>>, CallError>;

impl Stub {
    /// Started, nothing loaded.
    pub(crate) async fn started() -> Self {
        Self::launched(launch()).await
    }

    pub(crate) async fn launched(launch: Launch) -> Self {
        let logs = Arc::new(Mutex::new(Vec::new()));
        let sink = logs.clone();
        let process = PluginProcess::start(&launch, move |line| sink.lock().unwrap().push(line))
            .await
            .unwrap();
        let client = process.client();
        Self { process, client, logs }
    }

    /// Loaded with options, misbehaviour allowed.
    pub(crate) async fn loaded(options: serde_json::Value) -> (Self, Capabilities) {
        let stub = Self::started().await;
        let capabilities = stub.client.load(&request(options), |_| {}).await.unwrap();
        (stub, capabilities)
    }

    pub(crate) async fn embed(&self, texts: &[&str]) -> Embedded {
        let inputs = texts.iter().map(|text| EmbedInput::text(*text, true)).collect();
        bounded(self.client.embed(inputs, WIDTH, None)).await
    }

    /// Starts a call that runs on by itself; returns once the plugin has it.
    pub(crate) async fn begin(&self, text: &'static str) -> tokio::task::JoinHandle<Embedded> {
        let running = self.running().await;
        let client = self.client.clone();
        let call = tokio::spawn(async move { client.embed(vec![EmbedInput::text(text, true)], WIDTH, None).await });
        self.until_running(running + 1).await;
        call
    }

    pub(crate) async fn running(&self) -> u32 {
        bounded(self.client.health()).await.unwrap().running
    }

    pub(crate) async fn until_running(&self, expected: u32) {
        bounded(async {
            while self.running().await != expected {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }

    pub(crate) async fn exited(&self) -> ExitCause {
        bounded(self.process.exited()).await
    }

    pub(crate) fn logged(&self, part: &str) -> bool {
        self.logs.lock().unwrap().iter().any(|line| line.message.contains(part))
    }

    pub(crate) async fn until_logged(&self, part: &str) {
        bounded(async {
            while !self.logged(part) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
    }
}

pub(crate) fn launch() -> Launch {
    Launch::new(env!("CARGO_BIN_EXE_sensorium-stub"))
}

/// A request to load a model with options; misbehaviour is allowed.
pub(crate) fn request(mut options: serde_json::Value) -> LoadRequest {
    options["allow_misbehaviour"] = true.into();
    LoadRequest {
        options: options.as_object().unwrap().clone(),
        ..LoadRequest::new("test")
    }
}

/// Panics instead of waiting for ever.
pub(crate) async fn bounded<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("no result within a minute")
}

/// True while a process of that id exists, if only as a zombie.
pub(crate) fn exists(pid: u32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::test_kill_process(pid).is_ok()
}
