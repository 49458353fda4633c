//! One hop over the wire: connect to a judged address, TLS if asked for, one HTTP/1.1 request.
//!
//! Nothing is pooled, so no connection is ever reused under another name. No proxy, no environment variable, no cookie
//! and no Accept-Encoding has any part in it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::policy::Hop;
use crate::FetchFailure;

/// A reply whose body is still to be read. Dropping it closes the connection.
pub(super) struct Reply {
    pub(super) response: Response<Incoming>,
    /// Drives the connection; aborted when dropped.
    _connection: JoinSet<()>,
}

/// One address gets this long to accept before the next is tried.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A reply's status line and headers must fit.
const MAX_HEAD_BYTES: usize = 64 << 10;
const MAX_HEADERS: usize = 100;
const AGENT: &str = concat!("sensorium/", env!("CARGO_PKG_VERSION"));

/// Sends one GET to `hop`. The caller bounds the time.
pub(super) async fn get(hop: &Hop, tls: &Arc<rustls::ClientConfig>) -> Result<Reply, FetchFailure> {
    let stream = connect(&hop.addresses).await.ok_or(FetchFailure::Connect)?;
    if hop.tls {
        let name = server_name(&hop.host).ok_or(FetchFailure::Connect)?;
        let session = TlsConnector::from(tls.clone()).connect(name, stream).await;
        exchange(session.map_err(|_| FetchFailure::Connect)?, hop).await
    } else {
        exchange(stream, hop).await
    }
}

/// The first address that accepts.
async fn connect(addresses: &[SocketAddr]) -> Option<TcpStream> {
    for &address in addresses {
        let attempt: Result<io::Result<TcpStream>, _> =
            tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
        if let Ok(Ok(stream)) = attempt {
            return Some(stream);
        }
    }
    None
}

/// What the certificate must be for: the URL's host, whatever address it resolved to.
fn server_name(host: &str) -> Option<ServerName<'static>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    ServerName::try_from(bare.to_owned()).ok()
}

async fn exchange<S>(stream: S, hop: &Hop) -> Result<Reply, FetchFailure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = http1::Builder::new();
    builder.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
    let (mut sender, connection) = builder
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|_| FetchFailure::BrokenReply)?;
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // Its errors reach the request and its body too.
        let _ = connection.await;
    });
    let request = Request::get(&hop.path)
        .header(HOST, &hop.authority)
        .header(USER_AGENT, AGENT)
        .header(ACCEPT, "image/*")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| FetchFailure::BrokenReply)?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|_| FetchFailure::BrokenReply)?;
    Ok(Reply {
        response,
        _connection: driver,
    })
}
