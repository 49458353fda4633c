//! The facade: a source goes in, checked pixels of a model's size come out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use tokio::time::{Instant, timeout_at};

use crate::budget::{Budget, Reservation};
use crate::decode::{Checked, Decoded, Decoder, Header};
use crate::encode::{self, Encoding};
use crate::fetch::{FetchConfig, Fetched, Fetcher};
use crate::pool::CpuPool;
use crate::resize::ResizeSpec;
use crate::{Alpha, IndexedError, MediaError, Pixels, Source, inline};

/// Limits and policy of everything that this crate does.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// What may be fetched, and how much of it.
    pub fetch: FetchConfig,
    /// The largest picture.
    pub decoder: Decoder,
    /// The largest file that is sent inside a request.
    pub max_inline_bytes: usize,
    /// Threads that decode and resize.
    pub threads: usize,
    /// Bytes that pictures being decoded, and full-size ones not dropped yet, may hold together. At least twice what
    /// the largest picture takes (24 bytes for each of `decoder.max_pixels`) is used, so that a request with several
    /// full-size images never waits for itself.
    pub max_decoding_bytes: u64,
    /// Bytes that sized pixels may hold together, over all requests, for as long as their callers keep them. No request
    /// may have more than this. See [`Media::reserve_sized`].
    pub max_sized_bytes: u64,
}

/// The one way for a client's bytes to become pixels. Share one.
#[derive(Debug)]
pub struct Media {
    fetcher: Fetcher,
    pool: CpuPool,
    budget: Budget,
    sized: Budget,
    decoder: Decoder,
    max_inline_bytes: usize,
    /// Images of one request that are under way at the same time.
    at_once: usize,
}

/// An image that is ready for a model.
#[derive(Debug)]
pub struct Prepared {
    /// At the size of the spec, or full size without one.
    pub pixels: Pixels,
    /// What the file was.
    pub header: Header,
    /// Columns and rows of the file when it lies upright.
    pub upright: (u32, u32),
    /// Full-size pixels stay in the budget for as long as they live.
    _reserved: Option<Reservation>,
}

/// The system gave no threads to decode with.
#[derive(Debug, thiserror::Error)]
#[error("could not start the threads that decode images: {0}")]
pub struct MediaBuildError(#[from] rayon::ThreadPoolBuildError);

/// Says what a picture of so many columns and rows, upright, is to be sized to.
pub type SizeRule = Arc<dyn Fn(u32, u32) -> ResizeSpec + Send + Sync>;

/// What one image is to become.
#[derive(Clone)]
struct Wanted {
    size: Size,
    alpha: Alpha,
}

/// What size one image is to have.
#[derive(Clone)]
enum Size {
    /// Its own.
    Full,
    /// This.
    Spec(ResizeSpec),
    /// What follows from its own.
    Rule(SizeRule),
}

/// How far a thread came without waiting.
enum Progress {
    Done(Prepared),
    /// With the fetch's slot, which stays taken while the file is in memory.
    NeedsMemory(Checked, Wanted, Option<Fetched>),
}

/// An encoded file, or the text of one, that a thread takes over.
enum Input {
    Inline(Source),
    Fetched(Fetched),
}

// === impl MediaConfig ===

impl Default for MediaConfig {
    /// The limits of each part, 20 MiB inline, a thread a core, 1 GiB for pictures being decoded and 1 GiB for sized ones.
    fn default() -> Self {
        Self {
            fetch: FetchConfig::default(),
            decoder: Decoder::default(),
            max_inline_bytes: 20 << 20,
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            max_decoding_bytes: 1 << 30,
            max_sized_bytes: 1 << 30,
        }
    }
}

// === impl Media ===

impl Media {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system gives none.
    pub fn new(config: MediaConfig) -> Result<Self, MediaBuildError> {
        Self::with_fetcher(Fetcher::new(config.fetch.clone()), config)
    }

    /// As [`Self::new`], with a fetcher of the caller's in the place of `config.fetch`.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_fetcher(fetcher: Fetcher, config: MediaConfig) -> Result<Self, MediaBuildError> {
        Ok(Self {
            fetcher,
            pool: CpuPool::new(config.threads)?,
            budget: Budget::new(config.max_decoding_bytes.max(2 * config.decoder.largest_peak_bytes())),
            sized: Budget::new(config.max_sized_bytes),
            at_once: at_once(&config),
            decoder: config.decoder,
            max_inline_bytes: config.max_inline_bytes,
        })
    }

    /// Fetches, checks, decodes and sizes one image; transparency is composited over white and forgotten. Without a
    /// spec the pixels come at full size, upright, and count against the memory budget until dropped.
    ///
    /// Dropping the future ends the fetch and takes the image out of every queue; a decode that has begun finishes.
    ///
    /// # Errors
    /// Any [`MediaError`]; [`MediaError::Deadline`] once `deadline` has passed.
    pub async fn load(
        &self,
        source: Source,
        spec: Option<&ResizeSpec>,
        deadline: Instant,
    ) -> Result<Prepared, MediaError> {
        let wanted = Wanted {
            size: Size::of(spec),
            alpha: Alpha::Drop,
        };
        self.within(source, wanted, &Arc::default(), deadline).await
    }

    /// As [`Self::load`], with the file's transparency as a plane of its own, sized like the pixels.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_with_alpha(
        &self,
        source: Source,
        spec: Option<&ResizeSpec>,
        deadline: Instant,
    ) -> Result<Prepared, MediaError> {
        let wanted = Wanted {
            size: Size::of(spec),
            alpha: Alpha::Keep,
        };
        self.within(source, wanted, &Arc::default(), deadline).await
    }

    /// As [`Self::load_with_alpha`], at the size that follows from the picture's own.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_by_rule(
        &self,
        source: Source,
        rule: SizeRule,
        deadline: Instant,
    ) -> Result<Prepared, MediaError> {
        let wanted = Wanted {
            size: Size::Rule(rule),
            alpha: Alpha::Keep,
        };
        self.within(source, wanted, &Arc::default(), deadline).await
    }

    /// Sizes pixels that are here already.
    ///
    /// # Errors
    /// [`MediaError::Invalid`] for a spec without pixels.
    pub async fn resize(&self, pixels: Pixels, spec: ResizeSpec) -> Result<Pixels, MediaError> {
        self.pool.run(move || Decoded::from(pixels).resize(&spec)).await
    }

    /// Writes a picture as a file: three bytes for each of `width * height` pixels.
    ///
    /// # Errors
    /// [`MediaError::Invalid`] if there are not so many bytes, or the format has no pictures of that size.
    pub async fn encode(&self, width: u32, height: u32, rgb: Bytes, encoding: Encoding) -> Result<Bytes, MediaError> {
        self.pool
            .run(move || encode::encode(width, height, &rgb, &encoding))
            .await
    }

    /// Takes the memory of all of a request's sized images, before any of them is loaded: many small files become large
    /// pixels. Taken at once, so that no two requests wait for each other. Hold it for as long as the pixels.
    ///
    /// # Errors
    /// [`MediaError::TooMuchTogether`] if there will never be enough, [`MediaError::Deadline`] if there is not in time.
    pub async fn reserve_sized(
        &self,
        count: usize,
        spec: &ResizeSpec,
        deadline: Instant,
    ) -> Result<Reservation, MediaError> {
        let bytes = (count as u64).saturating_mul(spec.byte_len());
        if bytes > self.sized.total_bytes() {
            return Err(MediaError::TooMuchTogether);
        }
        timeout_at(deadline, self.sized.reserve(bytes))
            .await
            .unwrap_or(Err(MediaError::Deadline))
    }

    /// Loads the images of one request in parallel, in order; a request with many leaves threads and connections to
    /// others. The first failure ends the rest.
    ///
    /// # Errors
    /// As [`Self::load`], with the place of the image; [`MediaError::TooMuchTogether`] where full-size images would
    /// need more than half of the memory budget, so that no request can wait for itself.
    pub async fn load_all(
        &self,
        sources: Vec<Source>,
        spec: Option<&ResizeSpec>,
        deadline: Instant,
    ) -> Result<Vec<Prepared>, IndexedError> {
        let wanted = Wanted {
            size: Size::of(spec),
            alpha: Alpha::Drop,
        };
        let held = Arc::default();
        let loading = sources.into_iter().enumerate().map(|(index, source)| {
            let (held, wanted) = (&held, wanted.clone());
            async move {
                let loaded = self.within(source, wanted, held, deadline).await;
                loaded
                    .map(|prepared| (index, prepared))
                    .map_err(|error| IndexedError { index, error })
            }
        });
        let mut loaded: Vec<_> = stream::iter(loading)
            .buffer_unordered(self.at_once)
            .try_collect()
            .await?;
        loaded.sort_unstable_by_key(|&(index, _)| index);
        Ok(loaded.into_iter().map(|(_, prepared)| prepared).collect())
    }

    async fn within(
        &self,
        source: Source,
        wanted: Wanted,
        held: &Arc<AtomicU64>,
        deadline: Instant,
    ) -> Result<Prepared, MediaError> {
        timeout_at(deadline, self.prepare(source, wanted, held))
            .await
            .unwrap_or(Err(MediaError::Deadline))
    }

    /// `held` counts the full-size pixels of one request.
    async fn prepare(&self, source: Source, wanted: Wanted, held: &Arc<AtomicU64>) -> Result<Prepared, MediaError> {
        let input = match source {
            Source::Url(url) => Input::Fetched(self.fetcher.fetch(&url).await?),
            inline => Input::Inline(inline),
        };
        let (decoder, max_bytes, budget, held) =
            (self.decoder, self.max_inline_bytes, self.budget.clone(), held.clone());
        // One visit to a thread does everything, unless memory is short: no thread waits for that.
        let progress = self.pool.run(move || {
            let (file, slot) = input.into_file(max_bytes)?;
            let checked = decoder.check(file)?;
            if matches!(wanted.size, Size::Full) {
                hold(&held, &checked.header(), &budget)?;
            }
            match budget.try_reserve(checked.header().peak_bytes()) {
                Some(reserved) => finish(&checked, &wanted, reserved).map(Progress::Done),
                None => Ok(Progress::NeedsMemory(checked, wanted, slot)),
            }
        });
        match progress.await? {
            Progress::Done(prepared) => Ok(prepared),
            Progress::NeedsMemory(checked, wanted, _slot) => {
                let reserved = self.budget.reserve(checked.header().peak_bytes()).await?;
                self.pool.run(move || finish(&checked, &wanted, reserved)).await
            }
        }
    }
}

// === impl Size ===

impl Size {
    fn of(spec: Option<&ResizeSpec>) -> Self {
        spec.map_or(Self::Full, |spec| Self::Spec(*spec))
    }
}

// === impl Input ===

impl Input {
    /// The file, and what keeps a fetched one's memory accounted for.
    fn into_file(self, max_bytes: usize) -> Result<(Bytes, Option<Fetched>), MediaError> {
        let file = match self {
            Self::Fetched(fetched) => return Ok((fetched.bytes.clone(), Some(fetched))),
            Self::Inline(Source::Base64(text)) => inline::from_base64(&text, max_bytes)?,
            Self::Inline(Source::DataUri(uri)) => inline::from_data_uri(&uri, max_bytes)?,
            Self::Inline(Source::Bytes(bytes)) if bytes.len() > max_bytes => {
                return Err(MediaError::TooManyBytes { max_bytes });
            }
            Self::Inline(Source::Bytes(bytes)) => bytes,
            // Was fetched before.
            Self::Inline(Source::Url(_)) => return Err(MediaError::UrlBlocked),
        };
        Ok((file, None))
    }
}

/// Decodes and sizes. The reservation lasts as long as the work, even when nobody waits for it any more.
fn finish(checked: &Checked, wanted: &Wanted, mut reserved: Reservation) -> Result<Prepared, MediaError> {
    let decoded = checked.decode(wanted.alpha)?;
    let (header, upright) = (checked.header(), decoded.size());
    let spec = match &wanted.size {
        Size::Full => None,
        Size::Spec(spec) => Some(*spec),
        Size::Rule(rule) => Some(rule(upright.0, upright.1)),
    };
    match spec {
        Some(spec) => Ok(Prepared {
            pixels: decoded.resize(&spec)?,
            header,
            upright,
            _reserved: None,
        }),
        None => {
            let pixels = decoded.into_pixels();
            reserved.shrink_to(pixels.byte_len() as u64);
            Ok(Prepared {
                pixels,
                header,
                upright,
                _reserved: Some(reserved),
            })
        }
    }
}

/// Adds a full-size picture to what its request will hold at the end, refusing more than half of the budget: the other
/// half is what decoding the last of them may need.
fn hold(held: &AtomicU64, header: &Header, budget: &Budget) -> Result<(), MediaError> {
    let bytes = header.pixels() * FULL_SIZE_BYTES_PER_PIXEL;
    let before = held.fetch_add(bytes, Ordering::Relaxed);
    let alone = before == 0;
    if alone || before + bytes <= budget.total_bytes() / 2 {
        Ok(())
    } else {
        Err(MediaError::TooMuchTogether)
    }
}

/// A thread an image, but a few more where there are few threads, since a fetch mostly waits; and never more than half of
/// all fetches, so that no request takes them all.
fn at_once(config: &MediaConfig) -> usize {
    config.threads.max(8).min((config.fetch.max_concurrent / 2).max(1))
}

/// RGB and alpha.
const FULL_SIZE_BYTES_PER_PIXEL: u64 = 4;
