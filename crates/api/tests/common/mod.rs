//! A real server over the real engine and the stub plugin, on a free port, and a client that
//! sends exactly the bytes that a test writes.
#![allow(dead_code, reason = "each test file uses its own part")]

pub(crate) mod events;
pub(crate) mod talk;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use sensorium_api::{Config, Server, Stopper};
use sensorium_engine::{Engine, EngineConfig, MessageLimits, Metrics};
use sensorium_media::{Media, MediaConfig};
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything takes, even on a busy machine; only failing tests wait for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Models that between them have every capability that the API looks at.
pub(crate) const MODELS: &str = r#"
[[model]]
id      = "stub"
aliases = ["text-embedding-3-small"]
plugin  = "stub"
load    = "eager"
options = { width = 16, matryoshka = [4, 8], context_length = 8 }

[[model]]
id      = "org/any-width"
plugin  = "stub"
load    = "eager"
truncate = "error"
token_input = "native"
options = { width = 16, context_length = 8, scoring = "sigmoid" }

[[model]]
id      = "text-only"
plugin  = "stub"
load    = "eager"
token_input = "reject"
options = { width = 16, modalities = ["text"], allow_misbehaviour = true }

[[model]]
id      = "slow"
plugin  = "stub"
queue   = 1
options = { latency = "300ms" }
"#;

/// A 2×2 PNG, red, green, blue and white.
pub(crate) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEklEQVR42mP4z8DAAMIM/4EAAB/uBfvxq7p3AAAAAElFTkSuQmCC";

/// A running server.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    pub(crate) engine: Engine,
    pub(crate) stopper: Stopper,
    pub(crate) serving: tokio::task::JoinHandle<std::io::Result<()>>,
    _directory: TempDir,
}

/// A reply as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

// === impl House ===

impl House {
    /// A server of [`MODELS`] with a small configuration.
    pub(crate) async fn new() -> House {
        Self::with(|_| {}).await
    }

    /// A server whose configuration is changed first.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> House {
        Self::with_media(change, MediaConfig::default()).await
    }

    /// As [`Self::with`], with other limits on images.
    pub(crate) async fn with_media(change: impl FnOnce(&mut Config), media: MediaConfig) -> House {
        Self::serving(MODELS, change, media).await
    }

    /// A server of other models.
    pub(crate) async fn serving(models: &str, change: impl FnOnce(&mut Config), media: MediaConfig) -> House {
        let directory = tempfile::tempdir().unwrap();
        let registry = directory.path().join("models.toml");
        std::fs::write(&registry, models).unwrap();
        let engine_config = EngineConfig {
            registry,
            plugin_path: Vec::new(),
            cache_bytes: 0,
            message_limits: MessageLimits::default(),
            drain_grace: Duration::from_secs(5),
        };
        let engine = Engine::start(engine_config, Metrics::new().unwrap()).await.unwrap();
        let mut config = Config {
            listen: ([127, 0, 0, 1], 0).into(),
            workers: Some(2),
            ..Config::default()
        };
        change(&mut config);
        let server = Server::build(config, engine.clone(), Media::new(media).unwrap()).unwrap();
        let (address, stopper) = (server.address(), server.stopper());
        let serving = tokio::spawn(server.run());
        let house = House {
            address,
            engine,
            stopper,
            serving,
            _directory: directory,
        };
        let begin = Instant::now();
        while house.get("/readyz").await.status != 200 {
            assert!(begin.elapsed() < PATIENCE, "the server did not become ready");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        house
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
            .await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        self.post_with(path, "content-type: application/json\r\n", body.to_string().as_bytes())
            .await
    }

    /// `headers` are whole lines.
    pub(crate) async fn post_with(&self, path: &str, headers: &str, body: &[u8]) -> Reply {
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(body).await;
        read(stream).await
    }

    /// Sends bytes, then reads one reply.
    pub(crate) async fn send(&self, bytes: &str) -> Reply {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        read(stream).await
    }

    /// Stops everything; plugins too.
    pub(crate) async fn close(self) {
        self.stopper.stop().await;
        self.engine.shutdown().await;
        self.serving.await.unwrap().unwrap();
    }
}

// === impl Reply ===

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(header, _)| header == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// `error.<key>` as text; `null` is empty.
    pub(crate) fn error(&self, key: &str) -> String {
        self.json()["error"][key].as_str().unwrap_or_default().to_owned()
    }
}

/// Reads one reply and closes.
pub(crate) async fn read(mut stream: TcpStream) -> Reply {
    read_one(&mut stream).await
}

/// Reads until the reply is whole, or the connection ends.
pub(crate) async fn read_one(stream: &mut TcpStream) -> Reply {
    let mut bytes = Vec::new();
    let reading = async {
        loop {
            let mut chunk = [0; 16 << 10];
            match stream.read(&mut chunk).await {
                Ok(0) | Err(_) => break,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
            if parse(&bytes).is_some_and(|(reply, length)| length.is_some_and(|length| reply.body.len() >= length)) {
                break;
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("a reply in time");
    let Some((reply, _)) = parse(&bytes) else {
        panic!("no reply: {:?}", String::from_utf8_lossy(&bytes))
    };
    reply
}

fn parse(bytes: &[u8]) -> Option<(Reply, Option<usize>)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let reply = Reply {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    };
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    Some((reply, length))
}
