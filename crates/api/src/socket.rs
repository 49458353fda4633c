//! A socket on which even the replies that no handler makes are ours.
//!
//! actix-http answers a request whose head it can't parse, that is too long, or that comes too
//! slowly by itself: a bare status line, before any middleware. Such a reply is told apart by
//! what all of ours have and it lacks, `x-request-id`, and is written anew on its way out.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::rt::net::TcpStream;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::exchange::Exchange;
use crate::observe::new_id;
use crate::wire::error::{ErrorBody, ErrorObject};

/// A connection whose bare error replies become OpenAI's.
#[derive(Debug)]
pub(crate) struct Socket {
    inner: TcpStream,
    pending: BytesMut,
    exchange: Exchange,
    head: HeadTimer,
    write: WriteTimer,
}

/// Times every head of a connection but the first.
#[derive(Debug)]
struct HeadTimer {
    limit: Duration,
    running: bool,
    /// Requests that had begun when it was last looked at.
    begun: u64,
    sleep: Pin<Box<Sleep>>,
}

/// Times how long a client has taken nothing of what waits for it.
#[derive(Debug)]
struct WriteTimer {
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

// === impl Socket ===

impl Socket {
    /// Wraps a connection, each of whose heads has to arrive within a limit, and whose client has to read something of
    /// what waits for it within another.
    pub(crate) fn new(inner: TcpStream, head_limit: Duration, write_limit: Duration) -> Self {
        let head = HeadTimer {
            limit: head_limit,
            running: false,
            begun: 0,
            sleep: Box::pin(sleep(head_limit)),
        };
        Self {
            inner,
            pending: BytesMut::new(),
            exchange: Exchange::default(),
            head,
            write: WriteTimer {
                limit: write_limit,
                sleep: None,
            },
        }
    }

    /// What the connection is doing, for the middleware.
    pub(crate) fn exchange(&self) -> Exchange {
        self.exchange.clone()
    }

    /// Ready once a head is late.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let begun = self.exchange.begun();
        if begun != self.head.begun || !self.exchange.is_idle() {
            self.head.begun = begun;
            self.head.running = false;
        }
        if self.head.running {
            self.head.sleep.as_mut().poll(cx)
        } else {
            Poll::Pending
        }
    }

    /// Bytes came: if no request is handled, they begin a head.
    fn note_bytes(&mut self, cx: &mut Context<'_>) {
        if self.head.begun > 0 && !self.head.running && self.exchange.is_idle() {
            self.head.running = true;
            self.head.sleep.as_mut().reset(Instant::now() + self.head.limit);
            // Only registers the waker: the limit lies ahead.
            let _ = self.head.sleep.as_mut().poll(cx);
        }
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.write.watch(cx, written)
    }

    fn poll_pending(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let written = Pin::new(&mut self.inner).poll_write(cx, &self.pending);
            let written = ready!(self.write.watch(cx, written))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

// === impl WriteTimer ===

impl WriteTimer {
    /// Passes on what a write came to. One that waits for too long fails, so that a client that doesn't read holds
    /// no reply in memory.
    fn watch(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.sleep = None;
            return written;
        }
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(self.limit)));
        sleep.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.poll_late(cx).is_ready() {
            self.head.running = false;
            self.pending.extend_from_slice(&full_reply(408));
            let _ = self.poll_pending(cx);
            // The end of the stream, as far as actix is told.
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.note_bytes(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_pending(cx))?;
        match bare_reply(buf) {
            None => self.poll_inner(cx, buf),
            Some((0, status)) => {
                self.pending.extend_from_slice(&full_reply(status));
                // What can't be written now is written by the flush that follows.
                if let Poll::Ready(Err(error)) = self.poll_pending(cx) {
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(Ok(buf.len()))
            }
            Some((start, _)) => self.poll_inner(cx, &buf[..start]),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pending(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

const STATUS_LINE: &[u8] = b"HTTP/1.1 ";
/// A bare reply is about 100 bytes; looking no further back keeps writes of bodies cheap.
const LONGEST_BARE: usize = 256;

/// Where in the buffer a bare error reply begins, and its status. It is always the last thing
/// on a connection, so it ends where the buffer ends.
fn bare_reply(buf: &[u8]) -> Option<(usize, u16)> {
    if !buf.ends_with(b"\r\n\r\n") {
        return None;
    }
    let from = buf.len().saturating_sub(LONGEST_BARE);
    let start = from + find_last(&buf[from..], STATUS_LINE)?;
    let head = std::str::from_utf8(&buf[start..]).ok()?;
    let status: u16 = head.get(STATUS_LINE.len()..STATUS_LINE.len() + 3)?.parse().ok()?;
    let lower = head.to_ascii_lowercase();
    let bare = status >= 400 && lower.contains("\r\ncontent-length: 0\r\n") && !lower.contains("\r\nx-request-id:");
    bare.then_some((start, status))
}

fn find_last(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).rposition(|window| window == needle)
}

fn full_reply(status: u16) -> Vec<u8> {
    let (reason, kind, code, message) = match status {
        408 => (
            "Request Timeout",
            "invalid_request_error",
            "head_timeout",
            "the head of the request did not arrive in time",
        ),
        431 => (
            "Request Header Fields Too Large",
            "invalid_request_error",
            "head_too_large",
            "the head of the request is too large: send fewer or shorter headers",
        ),
        500.. => (
            "Internal Server Error",
            "server_error",
            "internal_error",
            "internal error",
        ),
        _ => (
            "Bad Request",
            "invalid_request_error",
            "malformed_request",
            "the request is not valid HTTP/1.1",
        ),
    };
    let error = ErrorObject {
        message: message.into(),
        kind: kind.into(),
        param: None,
        code: Some(code.into()),
    };
    let body = serde_json::to_vec(&ErrorBody { error }).unwrap_or_default();
    let id = new_id();
    let head = format!(
        "HTTP/1.1 {status} {reason}\r\ncontent-length: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         x-request-id: {}\r\nopenai-processing-ms: 0\r\n\r\n",
        body.len(),
        id.to_str().unwrap_or_default()
    );
    [head.into_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A connection with a limit on writes, and its client's end.
    async fn pair(write_limit: Duration) -> (Socket, TcpStream) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (server, _) = listener.accept().await.unwrap();
        (Socket::new(server, PATIENCE, write_limit), client)
    }

    /// Longer than anything takes; only failing tests wait for so long.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_client_that_reads_nothing_is_let_go() {
        let (mut socket, _client) = pair(Duration::from_millis(50)).await;
        let writing = async {
            loop {
                socket.write_all(&[0; 1 << 16]).await?;
            }
        };
        let ended: io::Result<()> = tokio::time::timeout(PATIENCE, writing).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_client_that_reads_gets_everything() {
        let (mut socket, mut client) = pair(PATIENCE).await;
        let reply = vec![7; 16 << 20];
        let mut got = vec![0; reply.len()];
        let (written, read) = tokio::join!(socket.write_all(&reply), client.read_exact(&mut got));
        written.unwrap();
        read.unwrap();
        assert!(got == reply);
        assert!(socket.write.sleep.is_none());
    }

    #[test]
    fn bare_replies_are_told_apart() {
        let bare = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\ndate: x\r\n\r\n";
        let ours = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nx-request-id: a\r\n\r\n";
        let fine = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        for (buf, expected) in [
            (bare.to_owned(), Some((0, 400))),
            (ours.to_owned(), None),
            (fine.to_owned(), None),
            (format!("{fine}{bare}"), Some((fine.len(), 400))),
            (format!("{bare}{{}}"), None),
            (String::new(), None),
        ] {
            assert_eq!(bare_reply(buf.as_bytes()), expected, "{buf}");
        }
        assert_eq!(bare_reply(&full_reply(431)), None);
    }
}
