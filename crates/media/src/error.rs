//! What can go wrong between a client's image and checked pixels.
//!
//! Messages are shown to the client: they name no address, path or library. Every refusal by the address policy has
//! one and the same text, so that a client can't map a network with it.

/// Why an image did not become pixels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaError {
    /// The policy on addresses refuses this URL, or one that it redirects to.
    #[error(
        "image_url is not allowed: use http or https on port 80 or 443, without a user name, and a host whose \
         addresses are all public; or send the image itself as a data: URI"
    )]
    UrlBlocked,
    /// The URL is allowed, but no image came from it.
    #[error("image_url could not be fetched: {0}")]
    FetchFailed(FetchFailure),
    /// More pixels than are accepted; found in the header, before any were allocated.
    #[error("image is {width}x{height} pixels; send at most {max_pixels} pixels and {max_side} a side")]
    TooManyPixels {
        /// Width that the header claims.
        width: u32,
        /// Height that the header claims.
        height: u32,
        /// The limit on width times height.
        max_pixels: u64,
        /// The limit on each side.
        max_side: u32,
    },
    /// More bytes than are accepted, sent in the request itself.
    #[error("image is larger than {max_bytes} bytes; send a smaller file")]
    TooManyBytes {
        /// The limit on the encoded file.
        max_bytes: usize,
    },
    /// The images of one request need more memory than may ever be reserved for them.
    #[error("the images of this request are together too large; send fewer or smaller ones")]
    TooMuchTogether,
    /// Not JPEG, PNG, WebP or GIF by its first bytes, or a variant of them that nothing here can read.
    #[error("image format is not supported; send JPEG, PNG, WebP or GIF")]
    UnsupportedFormat,
    /// It claims a format, but is damaged, cut off or not even base64.
    #[error("image is invalid: {0}")]
    Invalid(&'static str),
    /// The request's deadline passed first.
    #[error("the deadline passed while the image was being prepared")]
    Deadline,
    /// A worker went away: the server is shutting down.
    #[error("the server is stopping")]
    Stopped,
}

/// Why an allowed URL gave no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchFailure {
    /// No address for the name.
    #[error("its host name was not found")]
    Resolve,
    /// No connection, or no TLS session that this server trusts.
    #[error("no connection could be made")]
    Connect,
    /// The total time for a fetch ran out.
    #[error("it took too long")]
    TimedOut,
    /// More redirects than are followed, or one that leads nowhere.
    #[error("it redirects too often or to no valid address")]
    Redirect,
    /// Any status but 200.
    #[error("its server answered with status {0}")]
    Status(u16),
    /// The reply is compressed, though nothing asked for that.
    #[error("its server sent a compressed reply; serve the image as it is")]
    Compressed,
    /// More bytes than are accepted.
    #[error("it is larger than {max_bytes} bytes")]
    TooManyBytes {
        /// The limit on the encoded file.
        max_bytes: usize,
    },
    /// Not HTTP, or the reply ended before it was complete.
    #[error("its server's reply was broken off or malformed")]
    BrokenReply,
    /// A complete reply with no byte in it.
    #[error("its server's reply was empty")]
    Empty,
}

/// A [`MediaError`] with the place of the image that it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("image {index}: {error}")]
pub struct IndexedError {
    /// Position in the list of sources, from 0.
    pub index: usize,
    /// What went wrong with it.
    #[source]
    pub error: MediaError,
}

// === impl MediaError ===

impl MediaError {
    /// The code that the client sees beside the message.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UrlBlocked => "image_url_blocked",
            Self::FetchFailed(_) => "image_fetch_failed",
            Self::TooManyPixels { .. } | Self::TooManyBytes { .. } | Self::TooMuchTogether => "image_too_large",
            Self::UnsupportedFormat => "unsupported_image_format",
            Self::Invalid(_) => "invalid_image",
            Self::Deadline => "deadline_exceeded",
            Self::Stopped => "server_stopping",
        }
    }
}

impl From<FetchFailure> for MediaError {
    fn from(failure: FetchFailure) -> Self {
        Self::FetchFailed(failure)
    }
}
