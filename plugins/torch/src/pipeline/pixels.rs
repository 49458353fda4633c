//! Between bytes and the numbers that autoencoders take.

use tch::{Kind, Tensor};

/// RGB bytes, `height * width * 3`, as `[1, 3, h, w]` of -1 to 1, f32 on the CPU.
///
/// # Errors
/// If there are more or fewer bytes.
pub fn from_rgb(bytes: &[u8], height: i64, width: i64) -> Result<Tensor, tch::TchError> {
    let pixels = Tensor::f_from_data_size(bytes, &[1, height, width, 3], Kind::Uint8)?;
    Ok(pixels.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 127.5 - 1.0)
}

/// Mask bytes, `height * width`, as `[1, 1, h, w]` of 0 (kept) and 1 (painted anew): half and more is painted.
///
/// # Errors
/// If there are more or fewer bytes.
pub fn from_mask(bytes: &[u8], height: i64, width: i64) -> Result<Tensor, tch::TchError> {
    let mask = Tensor::f_from_data_size(bytes, &[1, 1, height, width], Kind::Uint8)?;
    Ok(mask.ge(128).to_kind(Kind::Float))
}

/// `[b, 3, h, w]` of about -1 to 1 as bytes, `[b, h, w, 3]` on the CPU.
pub fn to_rgb(pixels: &Tensor) -> Tensor {
    let scaled = (pixels.to_kind(Kind::Float) * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0;
    scaled
        .round()
        .to_kind(Kind::Uint8)
        .permute([0, 2, 3, 1])
        .contiguous()
        .to_device(tch::Device::Cpu)
}
