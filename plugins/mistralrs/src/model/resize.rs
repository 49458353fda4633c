//! Resampling as Pillow does it, for models whose image size follows from the image.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use sensorium_contract::{Filter, RgbImage};

/// The image's pixels at `width` × `height`; the same ones if that is its size.
///
/// # Errors
/// If a buffer doesn't have its size, which would be a defect of this plugin.
pub(crate) fn resize(image: &RgbImage, width: u32, height: u32, filter: Filter) -> Result<Vec<u8>, String> {
    if (image.width(), image.height()) == (width, height) {
        return Ok(image.as_bytes().to_vec());
    }
    let algorithm = match filter {
        Filter::Nearest => ResizeAlg::Nearest,
        Filter::Box => ResizeAlg::Convolution(FilterType::Box),
        Filter::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
        Filter::Hamming => ResizeAlg::Convolution(FilterType::Hamming),
        Filter::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
        Filter::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
    };
    let source = TypedImageRef::<U8x3>::from_buffer(image.width(), image.height(), image.as_bytes())
        .map_err(|error| error.to_string())?;
    let mut pixels = vec![0; width as usize * height as usize * 3];
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut pixels).map_err(|error| error.to_string())?;
    let options = ResizeOptions::new().resize_alg(algorithm);
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .map_err(|error| error.to_string())?;
    Ok(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_stays_one_colour() {
        let image = RgbImage::new(3, 2, vec![9u8; 18]).expect("18 bytes");
        assert_eq!(resize(&image, 3, 2, Filter::Bicubic), Ok(vec![9; 18]));
        assert_eq!(resize(&image, 8, 4, Filter::Bicubic), Ok(vec![9; 96]));
    }
}
