//! A web server that misbehaves on request, on a free port of this machine.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sensorium_media::FetchConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

/// What happens after a request has been read.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// These bytes, then the connection is closed.
    Say(Vec<u8>),
    /// These bytes, then nothing for ever.
    Hang(Vec<u8>),
    /// These bytes, then one byte now and then, for ever.
    Drip(Vec<u8>),
    /// These bytes, then as many as the client takes.
    Flood(Vec<u8>),
}

/// A running server; it stops with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) log: Arc<Log>,
}

#[derive(Default)]
pub(crate) struct Log {
    /// Connections accepted.
    pub(crate) accepted: AtomicUsize,
    /// Connections that the client has closed, or that were served to the end.
    pub(crate) finished: AtomicUsize,
    /// Heads of requests, as they came.
    pub(crate) requests: Mutex<Vec<String>>,
}

impl Server {
    /// Answers each path in its own way, others with 404.
    pub(crate) async fn start(routes: impl IntoIterator<Item = (&'static str, Behaviour)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes: Arc<HashMap<&'static str, Behaviour>> = Arc::new(routes.into_iter().collect());
        let log = Arc::new(Log::default());
        let shared = log.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                let (routes, log) = (routes.clone(), shared.clone());
                tokio::spawn(async move {
                    converse(stream, &routes, &log).await;
                    log.finished.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        Self { address, log }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.log.accepted.load(Ordering::SeqCst)
    }

    /// A configuration that may fetch from here and from nowhere else inside.
    pub(crate) fn config(&self) -> FetchConfig {
        FetchConfig {
            allow: vec![self.address.to_string().parse().unwrap()],
            ..FetchConfig::default()
        }
    }
}

/// Reads one request's head and behaves.
pub(crate) async fn converse<S>(mut stream: S, routes: &HashMap<&'static str, Behaviour>, log: &Log)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or("").to_owned();
    log.requests.lock().unwrap().push(head);
    let missing = Behaviour::Say(b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone".to_vec());
    let (first, then) = match routes.get(path.as_str()).cloned().unwrap_or(missing) {
        Behaviour::Say(first) => (first, None),
        Behaviour::Hang(first) => (first, Some((0, Duration::from_millis(20)))),
        Behaviour::Drip(first) => (first, Some((1, Duration::from_millis(20)))),
        Behaviour::Flood(first) => (first, Some((1 << 16, Duration::ZERO))),
    };
    if stream.write_all(&first).await.is_err() {
        return;
    }
    if let Some((count, pause)) = then {
        let chunk = vec![b'x'; count];
        // Ends when the client closes: its end of file, or a write that fails.
        loop {
            tokio::select! {
                read = stream.read(&mut byte) => if !matches!(read, Ok(1..)) { return },
                () = tokio::time::sleep(pause) => if stream.write_all(&chunk).await.is_err() { return },
            }
        }
    }
    let _ = stream.shutdown().await;
}

/// A complete reply of status 200.
pub(crate) fn ok(body: &[u8]) -> Behaviour {
    with_headers(&format!("Content-Length: {}\r\n", body.len()), body)
}

/// A reply of status 200 with these headers, complete with their line ends.
pub(crate) fn with_headers(headers: &str, body: &[u8]) -> Behaviour {
    Behaviour::Say([format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes(), body].concat())
}

pub(crate) fn redirect(location: &str) -> Behaviour {
    Behaviour::Say(format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes())
}

/// Waits for a condition, for at most a minute.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}
