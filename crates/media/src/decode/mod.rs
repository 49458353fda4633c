//! Files to pixels: the format by its first bytes, limits from its header, then the decoder.
//!
//! Colour profiles are ignored, as Pillow's `convert("RGB")` ignores them: models were trained that way.

mod gif;
mod jpeg;
mod png;
mod webp;

use bytes::Bytes;

use crate::orientation::Orientation;
use crate::resize::{self, ResizeSpec};
use crate::{Alpha, MediaError, Pixels};

/// Checks and decodes images. Cheap to copy; holds no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoder {
    /// The limit on width times height.
    pub max_pixels: u64,
    /// The limit on each side.
    pub max_side: u32,
}

/// A format that is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Baseline, extended and progressive Huffman-coded; grey, YCbCr, RGB, CMYK, YCCK.
    Jpeg,
    /// All colour types and depths; the default image of an animation.
    Png,
    /// Lossy and lossless; the first frame of an animation.
    WebP,
    /// The first frame.
    Gif,
}

/// What a file's header claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// By the first bytes.
    pub format: Format,
    /// Columns as stored, before EXIF orientation.
    pub width: u32,
    /// Rows as stored.
    pub height: u32,
}

/// A file whose header has been read and held against the limits: the only thing that can be decoded.
#[derive(Debug, Clone)]
pub struct Checked {
    file: Bytes,
    header: Header,
}

/// A decoded picture, still lying as it was stored: cropped and resized first, turned last.
#[derive(Debug, Clone)]
pub struct Decoded {
    pub(crate) stored: Pixels,
    pub(crate) orientation: Orientation,
}

/// The most bytes that decoding and compositing hold for one pixel of the header, in any format (a progressive CMYK
/// JPEG: coefficients and samples; a GIF: frame, canvas and result).
const PEAK_BYTES_PER_PIXEL: u64 = 12;

// === impl Decoder ===

impl Default for Decoder {
    /// 32 million pixels, 16,384 a side.
    fn default() -> Self {
        Self {
            max_pixels: 32_000_000,
            max_side: 16_384,
        }
    }
}

impl Decoder {
    /// Reads the header and holds it against the limits. Allocates nothing of the picture's size.
    ///
    /// # Errors
    /// [`MediaError::UnsupportedFormat`], [`MediaError::TooManyPixels`], [`MediaError::Invalid`].
    pub fn check(&self, file: Bytes) -> Result<Checked, MediaError> {
        let format = Format::of(&file)?;
        let (width, height) = match format {
            Format::Jpeg => jpeg::size(&file)?,
            Format::Png => png::size(&file)?,
            Format::WebP => webp::size(&file)?,
            Format::Gif => gif::size(&file)?,
        };
        if width == 0 || height == 0 {
            return Err(MediaError::Invalid("it has no pixels"));
        }
        let header = Header { format, width, height };
        if header.pixels() > self.max_pixels || width.max(height) > self.max_side {
            return Err(self.too_large(&header));
        }
        Ok(Checked { file, header })
    }

    /// The most bytes that decoding any picture within the limits may hold at once.
    pub(crate) fn largest_peak_bytes(&self) -> u64 {
        self.max_pixels.saturating_mul(PEAK_BYTES_PER_PIXEL)
    }

    fn too_large(&self, header: &Header) -> MediaError {
        MediaError::TooManyPixels {
            width: header.width,
            height: header.height,
            max_pixels: self.max_pixels,
            max_side: self.max_side,
        }
    }
}

// === impl Checked ===

impl Checked {
    /// What the header claims.
    pub fn header(&self) -> Header {
        self.header
    }

    /// Decodes the file, composited over white.
    ///
    /// # Errors
    /// [`MediaError::Invalid`] for truncated or damaged data, [`MediaError::UnsupportedFormat`] for a rare variant.
    pub fn decode(&self, alpha: Alpha) -> Result<Decoded, MediaError> {
        let decoded = match self.header.format {
            Format::Jpeg => jpeg::decode(&self.file)?,
            Format::Png => png::decode(&self.file, alpha)?,
            Format::WebP => webp::decode(&self.file, alpha)?,
            Format::Gif => gif::decode(&self.file, &self.header, alpha)?,
        };
        let stored = &decoded.stored;
        if (stored.width, stored.height) != (self.header.width, self.header.height) {
            return Err(MediaError::Invalid("its header contradicts itself"));
        }
        Ok(decoded)
    }
}

// === impl Format ===

impl Format {
    fn of(file: &[u8]) -> Result<Self, MediaError> {
        match file {
            [] => Err(MediaError::Invalid("it is empty")),
            [0xff, 0xd8, 0xff, ..] => Ok(Self::Jpeg),
            [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => Ok(Self::Png),
            [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Self::Gif),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Self::WebP),
            _ => Err(MediaError::UnsupportedFormat),
        }
    }
}

// === impl Header ===

impl Header {
    /// Width times height.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// The most bytes that decoding it may hold at once.
    pub(crate) fn peak_bytes(&self) -> u64 {
        self.pixels() * PEAK_BYTES_PER_PIXEL
    }
}

// === impl Decoded ===

impl Decoded {
    /// All pixels, upright.
    pub fn into_pixels(self) -> Pixels {
        self.orientation.apply(self.stored)
    }

    /// Sized to a model's image spec, upright; what a crop drops is never computed.
    ///
    /// # Errors
    /// [`MediaError::Invalid`] if the spec asks for a picture without pixels.
    pub fn resize(&self, spec: &ResizeSpec) -> Result<Pixels, MediaError> {
        resize::resize(self, spec)
    }

    /// Width and height when upright.
    pub fn size(&self) -> (u32, u32) {
        self.orientation.size(self.stored.width, self.stored.height)
    }
}

impl From<Pixels> for Decoded {
    fn from(pixels: Pixels) -> Self {
        Self {
            stored: pixels,
            orientation: Orientation::default(),
        }
    }
}

/// The `image` crate's errors in our terms.
fn from_image_error(error: &image::ImageError) -> MediaError {
    match error {
        image::ImageError::Unsupported(_) => MediaError::UnsupportedFormat,
        image::ImageError::Limits(_) => MediaError::Invalid("a frame is larger than the picture"),
        _ => CORRUPT,
    }
}

/// The text for every kind of damage; which byte was wrong helps nobody.
const CORRUPT: MediaError = MediaError::Invalid("its data is damaged or cut off");
