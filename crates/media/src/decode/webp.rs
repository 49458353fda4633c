//! WebP, lossy and lossless; of an animation the first frame.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder};

use super::{Decoded, from_image_error};
use crate::orientation::Orientation;
use crate::{Alpha, MediaError, Pixels};

pub(super) fn size(file: &[u8]) -> Result<(u32, u32), MediaError> {
    Ok(decoder(file)?.dimensions())
}

pub(super) fn decode(file: &[u8], alpha: Alpha) -> Result<Decoded, MediaError> {
    let mut decoder = decoder(file)?;
    let (width, height) = decoder.dimensions();
    let exif = decoder.exif_metadata().unwrap_or(None);
    let color = decoder.color_type();
    let mut samples = vec![0; width as usize * height as usize * usize::from(color.bytes_per_pixel())];
    decoder
        .read_image(&mut samples)
        .map_err(|error| from_image_error(&error))?;

    let stored = match color {
        ColorType::Rgb8 => Pixels::opaque(width, height, samples),
        ColorType::Rgba8 => Pixels::from_rgba(width, height, samples, alpha),
        _ => return Err(MediaError::UnsupportedFormat),
    };
    let orientation = exif
        .as_deref()
        .map_or_else(Orientation::default, Orientation::from_exif);
    Ok(Decoded { stored, orientation })
}

fn decoder(file: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, MediaError> {
    WebPDecoder::new(Cursor::new(file)).map_err(|error| from_image_error(&error))
}
