//! Message sizes, from one configuration for both ends.

/// Largest message either end sends or accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of one message. Tonic's own default of 4 MiB is less than a batch of images.
    pub max_message_bytes: usize,
}

// === impl MessageLimits ===

impl MessageLimits {
    /// HTTP/2 flow control window of a stream, in bytes: a batch of 64 images of 224 × 224
    /// crosses without waiting for the other end.
    pub(crate) const WINDOW_BYTES: u32 = 16 << 20;

    /// The same of a reply that comes event by event: what is read no further keeps this much, or one event.
    pub(crate) const REPLY_WINDOW_BYTES: u32 = 64 << 10;

    /// Replies that may fill their window before they hold up others.
    pub(crate) const MAX_REPLIES: u32 = 4096;
}

impl Default for MessageLimits {
    /// 256 MiB: 64 images of 1,152 × 1,152 pixels.
    fn default() -> Self {
        Self {
            max_message_bytes: 256 << 20,
        }
    }
}
