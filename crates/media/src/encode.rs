//! Pixels to files: PNG with texts beside, JPEG, lossless WebP.

use bytes::Bytes;
use image::ExtendedColorType::Rgb8;
use image::ImageEncoder as _;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::webp::WebPEncoder;

use crate::MediaError;

/// As what file a picture is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// With texts beside the picture, each under a keyword of 1 to 79 letters: tEXt chunks, or iTXt where a text is not
    /// Latin-1.
    Png {
        /// Keyword and text.
        texts: Vec<(String, String)>,
    },
    /// Baseline.
    Jpeg {
        /// 1 to 100, as libjpeg scales its tables.
        quality: u8,
    },
    /// Lossless.
    WebP,
}

/// Writes a picture of three bytes a pixel.
pub(crate) fn encode(width: u32, height: u32, rgb: &[u8], encoding: &Encoding) -> Result<Bytes, MediaError> {
    if rgb.len() as u64 != u64::from(width) * u64::from(height) * 3 {
        return Err(MediaError::Invalid("its pixels are not as many as its sides say"));
    }
    let mut file = Vec::new();
    let written = match encoding {
        Encoding::Png { texts } => png(&mut file, (width, height), rgb, texts).map_err(|_| ()),
        Encoding::Jpeg { quality } => JpegEncoder::new_with_quality(&mut file, (*quality).clamp(1, 100))
            .write_image(rgb, width, height, Rgb8)
            .map_err(|_| ()),
        Encoding::WebP => WebPEncoder::new_lossless(&mut file)
            .write_image(rgb, width, height, Rgb8)
            .map_err(|_| ()),
    };
    match written {
        Ok(()) => Ok(file.into()),
        Err(()) => Err(MediaError::Invalid("the format has no picture of that size")),
    }
}

fn png(
    file: &mut Vec<u8>,
    (width, height): (u32, u32),
    rgb: &[u8],
    texts: &[(String, String)],
) -> Result<(), png::EncodingError> {
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // A quarter of the time of the default for files that are a tenth larger.
    encoder.set_compression(png::Compression::Fast);
    for (keyword, text) in texts {
        if text.chars().all(|c| u32::from(c) < 256) {
            encoder.add_text_chunk(keyword.clone(), text.clone())?;
        } else {
            encoder.add_itxt_chunk(keyword.clone(), text.clone())?;
        }
    }
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Alpha, Decoder, Format};

    const SIZE: (u32, u32) = (5, 3);

    fn pixels() -> Vec<u8> {
        (0..45).map(|i| (i * 37 % 251) as u8).collect()
    }

    fn round_trip(encoding: &Encoding) -> (Format, Vec<u8>, Bytes) {
        let file = encode(SIZE.0, SIZE.1, &pixels(), encoding).unwrap();
        let checked = Decoder::default().check(file.clone()).unwrap();
        let decoded = checked.decode(Alpha::Keep).unwrap().into_pixels();
        assert_eq!((decoded.width, decoded.height, decoded.alpha), (SIZE.0, SIZE.1, None));
        (checked.header().format, decoded.rgb, file)
    }

    #[test]
    fn lossless_files_give_the_same_pixels_back() {
        for (encoding, format) in [
            (Encoding::Png { texts: vec![] }, Format::Png),
            (Encoding::WebP, Format::WebP),
        ] {
            let (read, rgb, _) = round_trip(&encoding);
            assert_eq!((read, rgb), (format, pixels()));
        }
    }

    #[test]
    fn a_jpeg_of_high_quality_is_close_and_larger_than_one_of_low() {
        let (format, _, large) = round_trip(&Encoding::Jpeg { quality: 100 });
        let (_, _, small) = round_trip(&Encoding::Jpeg { quality: 10 });
        assert_eq!(format, Format::Jpeg);
        assert!(small.len() < large.len());
    }

    #[test]
    fn texts_lie_beside_the_picture() {
        let texts = vec![
            ("parameters".to_owned(), "a café\nSeed: 7".to_owned()),
            ("prompt".to_owned(), "ein Stern ★".to_owned()),
        ];
        let (_, rgb, file) = round_trip(&Encoding::Png { texts });
        assert_eq!(rgb, pixels());
        let reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let info = reader.info();
        let latin1 = &info.uncompressed_latin1_text[0];
        assert_eq!(
            (latin1.keyword.as_str(), latin1.text.as_str()),
            ("parameters", "a café\nSeed: 7")
        );
        assert_eq!(info.utf8_text[0].get_text().unwrap(), "ein Stern ★");
    }

    #[test]
    fn pixels_that_are_not_so_many_are_refused() {
        assert!(encode(5, 3, &[0; 44], &Encoding::WebP).is_err());
    }
}
