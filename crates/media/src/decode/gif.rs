//! GIF: the first frame, on the transparent canvas that browsers start from.

use std::io::Cursor;

use image::codecs::gif::GifDecoder;
use image::{ImageDecoder, Limits};

use super::{Decoded, Header, from_image_error};
use crate::{Alpha, MediaError, Pixels};

pub(super) fn size(file: &[u8]) -> Result<(u32, u32), MediaError> {
    Ok(decoder(file)?.dimensions())
}

pub(super) fn decode(file: &[u8], header: &Header, alpha: Alpha) -> Result<Decoded, MediaError> {
    let mut decoder = decoder(file)?;
    let samples_len = header.pixels() * 4;
    // A frame may claim to be larger than the canvas; it gets no more memory than the canvas.
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(samples_len);
    decoder.set_limits(limits).map_err(|error| from_image_error(&error))?;
    let mut samples = vec![0; usize::try_from(samples_len).map_err(|_| super::CORRUPT)?];
    decoder
        .read_image(&mut samples)
        .map_err(|error| from_image_error(&error))?;
    Ok(Pixels::from_rgba(header.width, header.height, samples, alpha).into())
}

fn decoder(file: &[u8]) -> Result<GifDecoder<Cursor<&[u8]>>, MediaError> {
    GifDecoder::new(Cursor::new(file)).map_err(|error| from_image_error(&error))
}
