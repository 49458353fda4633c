//! A stream as its client reads it: the head, then one event after the other, as they come.

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{House, PATIENCE};

/// A stream that is being read.
pub(crate) struct Events {
    socket: TcpStream,
    /// The status line and the headers.
    pub(crate) head: String,
    /// Bytes that were read and not looked at.
    raw: Vec<u8>,
    /// Text out of its chunks, not yet cut into events.
    text: String,
    /// True once the last chunk has come.
    pub(crate) ended: bool,
}

// === impl Events ===

impl Events {
    /// Asks for a stream and reads its head.
    pub(crate) async fn open(house: &House, path: &str, body: &Value) -> Self {
        let body = body.to_string();
        let length = body.len();
        let mut socket = TcpStream::connect(house.address).await.unwrap();
        let request = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n{body}");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut events = Self {
            socket,
            head: String::new(),
            raw: Vec::new(),
            text: String::new(),
            ended: false,
        };
        let end = loop {
            if let Some(end) = find(&events.raw, b"\r\n\r\n") {
                break end;
            }
            assert!(events.fill().await, "the connection ended inside the head");
        };
        events.head = String::from_utf8(events.raw.drain(..end + 4).collect()).unwrap();
        events
    }

    /// The next event or comment, with the empty line that ends it; `None` at the end of the stream, or if the
    /// connection breaks off.
    pub(crate) async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                return Some(self.text.drain(..end + 2).collect());
            }
            if self.ended || !self.chunk().await {
                assert!(self.text.is_empty(), "half an event: {}", self.text);
                return None;
            }
        }
    }

    /// The object of the next event that has one; `None` at the end.
    pub(crate) async fn object(&mut self) -> Option<Value> {
        loop {
            let event = self.next().await?;
            if let Some(json) = event.strip_prefix("data: {") {
                return Some(serde_json::from_str(&format!("{{{json}")).unwrap());
            }
        }
    }

    /// All events that are left.
    pub(crate) async fn rest(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The socket, for another request or to be left alone.
    pub(crate) fn socket(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Bytes behind the stream that were read already.
    pub(crate) fn left(&self) -> String {
        String::from_utf8(self.raw.clone()).unwrap()
    }

    /// Moves one chunk into the text; false if the connection ended first.
    async fn chunk(&mut self) -> bool {
        let (start, length) = loop {
            if let Some(end) = find(&self.raw, b"\r\n") {
                let length = std::str::from_utf8(&self.raw[..end]).unwrap();
                break (end + 2, usize::from_str_radix(length, 16).unwrap());
            }
            if !self.fill().await {
                return false;
            }
        };
        while self.raw.len() < start + length + 2 {
            if !self.fill().await {
                return false;
            }
        }
        self.ended = length == 0;
        let chunk: Vec<u8> = self.raw.drain(..start + length + 2).collect();
        self.text
            .push_str(std::str::from_utf8(&chunk[start..start + length]).unwrap());
        true
    }

    async fn fill(&mut self) -> bool {
        let mut bytes = [0; 16 << 10];
        let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut bytes));
        match read.await.expect("something in time") {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.raw.extend_from_slice(&bytes[..count]);
                true
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
