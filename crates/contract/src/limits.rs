//! Message sizes, from one configuration for both ends.

/// Largest message either end sends or accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimits {
    /// Bytes of one message. Tonic's own default of 4 MiB is less than a batch of images.
    pub max_message_bytes: usize,
}

// === impl MessageLimits ===

impl Default for MessageLimits {
    /// 256 MiB: 64 images of 1,152 × 1,152 pixels.
    fn default() -> Self {
        Self { max_message_bytes: 256 << 20 }
    }
}
