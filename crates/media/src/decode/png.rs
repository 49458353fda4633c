//! PNG: palettes and colour keys expanded, 16 bits cut to their high byte as Pillow cuts them.

use std::io::Cursor;

use png::{BitDepth, ColorType, DecodingError, Limits, Reader, Transformations};

use super::{CORRUPT, Decoded};
use crate::orientation::Orientation;
use crate::{Alpha, MediaError, Pixels};

/// For the decoder's own buffers: rows and metadata, never the picture.
const MAX_INTERNAL_BYTES: usize = 16 << 20;

pub(super) fn size(file: &[u8]) -> Result<(u32, u32), MediaError> {
    let mut decoder = decoder(file);
    let info = decoder.read_header_info().map_err(|error| from_error(&error))?;
    Ok((info.width, info.height))
}

pub(super) fn decode(file: &[u8], alpha: Alpha) -> Result<Decoded, MediaError> {
    let mut reader = decoder(file).read_info().map_err(|error| from_error(&error))?;
    let mut samples = vec![0; reader.output_buffer_size().ok_or(CORRUPT)?];
    let frame = reader.next_frame(&mut samples).map_err(|error| from_error(&error))?;
    samples.truncate(frame.buffer_size());

    let (width, height) = (frame.width, frame.height);
    let stored = match (frame.color_type, frame.bit_depth) {
        (ColorType::Rgb, BitDepth::Eight) => Pixels::opaque(width, height, samples),
        (ColorType::Rgba, BitDepth::Eight) => Pixels::from_rgba(width, height, samples, alpha),
        (ColorType::Grayscale, BitDepth::Eight) => Pixels::from_grey(width, height, &samples),
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => Pixels::from_grey_alpha(width, height, &samples, alpha),
        _ => return Err(MediaError::UnsupportedFormat),
    };
    Ok(Decoded {
        stored,
        orientation: orientation(&mut reader),
    })
}

fn decoder(file: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(file),
        Limits {
            bytes: MAX_INTERNAL_BYTES,
        },
    );
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    // Compressed bombs in chunks that nothing here reads.
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder
}

/// From eXIf, which may stand before or after the picture's data.
fn orientation(reader: &mut Reader<Cursor<&[u8]>>) -> Orientation {
    if reader.info().exif_metadata.is_none() {
        // The picture is complete; what is wrong after it doesn't matter.
        let _ = reader.finish();
    }
    reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or_else(Orientation::default, Orientation::from_exif)
}

fn from_error(error: &DecodingError) -> MediaError {
    match error {
        DecodingError::LimitsExceeded => MediaError::Invalid("its metadata is too large"),
        _ => CORRUPT,
    }
}
