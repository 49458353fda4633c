//! Images from URLs that clients name, without letting a client reach what only the server can.
//!
//! Each hop is judged from scratch ([`policy`]): one parser, resolved once, refused if any answer is not public, and
//! one of the very addresses that were judged is dialled ([`dial`]). A name that changes its mind between check and use
//! (DNS rebinding) gains nothing, since there is no second look-up.

mod address;
mod allow;
mod dial;
mod policy;
mod resolve;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION};
use hyper::{Response, StatusCode};
use rustls::pki_types::CertificateDer;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use url::Url;

pub use self::allow::{AllowEntry, AllowEntryError};
pub use self::resolve::{Resolve, SystemResolver};

use crate::source::{is_ambiguous, parse_url};
use crate::{FetchFailure, MediaError};

/// The policy and limits of fetching.
#[derive(Debug, Clone)]
pub struct FetchConfig {
    /// Exceptions to the rules on addresses and ports.
    pub allow: Vec<AllowEntry>,
    /// For everything together: names, connections, redirects, body.
    pub timeout: Duration,
    /// The largest file.
    pub max_bytes: usize,
    /// Redirects followed, each judged anew.
    pub max_redirects: usize,
    /// Files being fetched, or fetched and not decoded yet; with `max_bytes` this bounds their memory.
    pub max_concurrent: usize,
    /// Authorities trusted besides the machine's own, DER.
    pub extra_roots: Vec<CertificateDer<'static>>,
}

/// Fetches images. Share one; it holds no connection between fetches.
pub struct Fetcher {
    config: FetchConfig,
    resolver: Arc<dyn Resolve>,
    slots: Arc<Semaphore>,
    tls: OnceCell<Arc<rustls::ClientConfig>>,
}

/// A file that was fetched. Its slot is free again when this is dropped.
#[derive(Debug)]
pub struct Fetched {
    /// The file, complete.
    pub bytes: Bytes,
    _slot: OwnedSemaphorePermit,
}

/// What one hop led to.
enum Step {
    Done(Bytes),
    Redirect(Url),
}

// === impl FetchConfig ===

impl Default for FetchConfig {
    /// No exceptions, 10 s, 20 MiB, 3 redirects, 32 at once.
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            timeout: Duration::from_secs(10),
            max_bytes: 20 << 20,
            max_redirects: 3,
            max_concurrent: 32,
            extra_roots: Vec::new(),
        }
    }
}

// === impl Fetcher ===

impl Fetcher {
    /// A fetcher that asks the operating system for addresses.
    pub fn new(config: FetchConfig) -> Self {
        Self::with_resolver(config, Arc::new(SystemResolver))
    }

    /// A fetcher that asks `resolver`.
    pub fn with_resolver(config: FetchConfig, resolver: Arc<dyn Resolve>) -> Self {
        let slots = Arc::new(Semaphore::new(config.max_concurrent.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            config,
            resolver,
            slots,
            tls: OnceCell::new(),
        }
    }

    /// Fetches a whole file. Dropping the future closes its connection.
    ///
    /// # Errors
    /// [`MediaError::UrlBlocked`], [`MediaError::FetchFailed`].
    pub async fn fetch(&self, url: &Url) -> Result<Fetched, MediaError> {
        // Waiting for a slot is the server's time, not the remote's: only the request's own deadline bounds it.
        let slot = self
            .slots
            .clone()
            .acquire_owned()
            .await
            .map_err(|_| MediaError::Stopped)?;
        match tokio::time::timeout(self.config.timeout, self.follow(url.clone())).await {
            Ok(Ok(bytes)) => Ok(Fetched { bytes, _slot: slot }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(FetchFailure::TimedOut.into()),
        }
    }

    async fn follow(&self, mut url: Url) -> Result<Bytes, MediaError> {
        for _ in 0..=self.config.max_redirects {
            match self.step(&url).await? {
                Step::Done(bytes) => return Ok(bytes),
                Step::Redirect(next) => url = next,
            }
        }
        Err(FetchFailure::Redirect.into())
    }

    async fn step(&self, url: &Url) -> Result<Step, MediaError> {
        let hop = policy::judge(url, &self.config.allow, &*self.resolver).await?;
        let mut reply = dial::get(&hop, self.tls().await?).await?;
        let status = reply.response.status();
        if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
            return redirect(url, &reply.response).map(Step::Redirect);
        }
        if status != StatusCode::OK {
            return Err(FetchFailure::Status(status.as_u16()).into());
        }
        Ok(Step::Done(self.read(&mut reply.response).await?))
    }

    /// Reads a body, counting; the length that the header claims may only make it end sooner.
    async fn read<B>(&self, response: &mut Response<B>) -> Result<Bytes, FetchFailure>
    where
        B: hyper::body::Body<Data = Bytes> + Unpin,
    {
        let headers = response.headers();
        let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
        if encodings.any(|encoding| !encoding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
            return Err(FetchFailure::Compressed);
        }
        let too_many = FetchFailure::TooManyBytes {
            max_bytes: self.config.max_bytes,
        };
        let claimed = headers
            .get(CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if claimed.is_some_and(|length| length > self.config.max_bytes as u64) {
            return Err(too_many);
        }
        let mut file = BytesMut::new();
        while let Some(frame) = response.body_mut().frame().await {
            let Ok(data) = frame.map_err(|_| FetchFailure::BrokenReply)?.into_data() else {
                continue;
            };
            if file.len() + data.len() > self.config.max_bytes {
                return Err(too_many);
            }
            file.extend_from_slice(&data);
        }
        if file.is_empty() {
            Err(FetchFailure::Empty)
        } else {
            Ok(file.freeze())
        }
    }

    /// Built at the first hop: reading the machine's certificates takes a while.
    async fn tls(&self) -> Result<&Arc<rustls::ClientConfig>, FetchFailure> {
        self.tls
            .get_or_try_init(|| async {
                let extra = self.config.extra_roots.clone();
                let built = tokio::task::spawn_blocking(move || tls::client_config(&extra)).await;
                built.ok().and_then(Result::ok).ok_or(FetchFailure::Connect)
            })
            .await
    }
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Where a redirect leads. Whether it may be followed is judged like any URL.
fn redirect<B>(from: &Url, response: &Response<B>) -> Result<Url, MediaError> {
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or(FetchFailure::Redirect)?;
    if is_ambiguous(location) {
        return Err(MediaError::UrlBlocked);
    }
    let joined = from.join(location).map_err(|_| FetchFailure::Redirect)?;
    parse_url(joined.as_str()).ok_or(MediaError::UrlBlocked)
}
