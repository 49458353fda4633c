//! JPEG: zune-jpeg, with CMYK and YCCK taken to RGB as Pillow and libjpeg do.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::{CORRUPT, Decoded};
use crate::orientation::Orientation;
use crate::{MediaError, Pixels};

pub(super) fn size(file: &[u8]) -> Result<(u32, u32), MediaError> {
    let decoder = with_headers(file)?;
    let (width, height) = decoder.dimensions().ok_or(CORRUPT)?;
    Ok((
        u32::try_from(width).map_err(|_| CORRUPT)?,
        u32::try_from(height).map_err(|_| CORRUPT)?,
    ))
}

pub(super) fn decode(file: &[u8]) -> Result<Decoded, MediaError> {
    let mut decoder = with_headers(file)?;
    let stored = decoder.input_colorspace().ok_or(CORRUPT)?;
    let wanted = match stored {
        ColorSpace::YCbCr | ColorSpace::RGB | ColorSpace::Luma => ColorSpace::RGB,
        ColorSpace::CMYK | ColorSpace::YCCK => stored,
        _ => return Err(MediaError::UnsupportedFormat),
    };
    // Lenient about headers, as every reader is, and strict about picture data: half a picture is no picture.
    decoder.set_options(options().jpeg_set_out_colorspace(wanted).set_strict_mode(true));
    let mut samples = vec![0; decoder.output_buffer_size().ok_or(CORRUPT)?];
    decoder.decode_into(&mut samples).map_err(|error| from_error(&error))?;

    let info = decoder.info().ok_or(CORRUPT)?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let stored = match wanted {
        ColorSpace::RGB => Pixels::opaque(width, height, samples),
        ColorSpace::YCCK => {
            ycck_to_cmyk(&mut samples);
            Pixels::from_inverted_cmyk(width, height, samples)
        }
        _ => Pixels::from_inverted_cmyk(width, height, samples),
    };
    let orientation = info
        .exif_data
        .as_deref()
        .map_or_else(Orientation::default, Orientation::from_exif);
    Ok(Decoded { stored, orientation })
}

fn with_headers(file: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, MediaError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(file), options().set_strict_mode(false));
    decoder.decode_headers().map_err(|error| from_error(&error))?;
    Ok(decoder)
}

/// The size limits are ours (see [`super::Decoder`]); the decoder's own would hide the size from the message.
fn options() -> DecoderOptions {
    DecoderOptions::default()
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
}

/// Inverted CMYK from YCCK, K untouched, in the 16-bit fixed point of libjpeg's `ycck_cmyk_convert`.
///
/// libjpeg gives C = 255 - R; stored inverted, what it calls C is light, not ink, and so is this.
fn ycck_to_cmyk(samples: &mut [u8]) {
    const HALF: i32 = 1 << 15;
    let clamp = |value: i32| value.clamp(0, 255) as u8;
    for [a, b, c, _k] in samples.as_chunks_mut::<4>().0 {
        let (y, cb, cr) = (i32::from(*a), i32::from(*b) - 128, i32::from(*c) - 128);
        let red = y + ((91_881 * cr + HALF) >> 16);
        let green = y + ((-22_554 * cb - 46_802 * cr + HALF) >> 16);
        let blue = y + ((116_130 * cb + HALF) >> 16);
        (*a, *b, *c) = (255 - clamp(red), 255 - clamp(green), 255 - clamp(blue));
    }
}

fn from_error(error: &DecodeErrors) -> MediaError {
    match error {
        DecodeErrors::Unsupported(_) => MediaError::UnsupportedFormat,
        _ => CORRUPT,
    }
}
