//! Sizing a picture to what a model takes, as Pillow resamples and as transformers crops.

mod nearest;
mod plan;
mod spec;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::{U8, U8x3};
use fast_image_resize::{FilterType, PixelTrait, ResizeAlg, ResizeOptions, Resizer};

pub use self::spec::{Filter, ResizeMode, ResizeSpec};

use self::plan::Plan;
use crate::decode::Decoded;
use crate::orientation::Area;
use crate::{MediaError, Pixels, Plane};

/// Crops, resizes and turns upright, in that order, which gives the same pixels as turning first.
///
/// # Errors
/// [`MediaError::Invalid`] for a spec without pixels.
pub(crate) fn resize(decoded: &Decoded, spec: &ResizeSpec) -> Result<Pixels, MediaError> {
    let (stored, orientation) = (&decoded.stored, decoded.orientation);
    let (upright_width, upright_height) = decoded.size();
    let plan = Plan::new(upright_width, upright_height, spec).ok_or(NO_SIZE)?;
    if plan.changes_nothing(upright_width, upright_height) {
        return Ok(orientation.apply(stored.clone()));
    }
    let Some((filter, support)) = convolution(spec.filter) else {
        // Its ties fall to one side, so it has to see the picture upright.
        return Ok(plan.pad(nearest::sample(&orientation.apply(stored.clone()), &plan)));
    };
    let (width, height) = orientation.size(plan.width, plan.height);
    let pass = Passes {
        size: (stored.width, stored.height),
        area: orientation.area_in_stored(plan.area, upright_width, upright_height),
        to: (width, height),
        filter,
        support,
        vertical_first: plan.vertical_first != orientation.swap,
    };
    let rgb = pass.run::<U8x3>(&stored.rgb)?;
    let alpha = stored.alpha.as_ref().map(|plane| pass.run::<U8>(plane)).transpose()?;
    Ok(plan.pad(orientation.apply(Pixels {
        width,
        height,
        rgb,
        alpha,
    })))
}

const NO_SIZE: MediaError = MediaError::Invalid("the model takes pictures of a size that it can't be brought to");

/// The resampling of `area` of a plane of `size` pixels to `to` pixels.
struct Passes {
    size: (u32, u32),
    area: Area,
    to: (u32, u32),
    filter: FilterType,
    /// Half the kernel's width at scale 1.
    support: f64,
    /// In the stored picture, whose rows may be the upright one's columns.
    vertical_first: bool,
}

// === impl Passes ===

impl Passes {
    /// `plane` is of pixels `P`.
    ///
    /// Each pass rounds to 8 bits, so their order shows. The resampler's own is always rows first (up to 17 levels away
    /// from Pillow's on noise), hence two calls, each with one pass to do. What is left between it and Pillow is the
    /// precision of the weights: one level in one byte of 200. What the second pass won't read is left out of the first.
    fn run<P: PixelTrait>(&self, plane: &[u8]) -> Result<Plane, MediaError> {
        let (filter, support) = (self.filter, self.support);
        let Area {
            left,
            top,
            width,
            height,
        } = self.area;
        if self.vertical_first {
            let (first, count) = window(left, width, self.size.0, self.to.0, support);
            let strip = Area {
                left: f64::from(first),
                width: f64::from(count),
                ..self.area
            };
            let rows = convolve::<P>(plane, self.size, strip, (count, self.to.1), filter)?;
            let rest = Area {
                left: left - f64::from(first),
                top: 0.0,
                width,
                height: f64::from(self.to.1),
            };
            convolve::<P>(&rows, (count, self.to.1), rest, self.to, filter)
        } else {
            let (first, count) = window(top, height, self.size.1, self.to.1, support);
            let strip = Area {
                top: f64::from(first),
                height: f64::from(count),
                ..self.area
            };
            let columns = convolve::<P>(plane, self.size, strip, (self.to.0, count), filter)?;
            let rest = Area {
                left: 0.0,
                top: top - f64::from(first),
                width: f64::from(self.to.0),
                height,
            };
            convolve::<P>(&columns, (self.to.0, count), rest, self.to, filter)
        }
    }
}

/// One call of the resampler, typed: its untyped call compiles the kernels of every pixel type there is.
fn convolve<P: PixelTrait>(
    plane: &[u8],
    size: (u32, u32),
    area: Area,
    to: (u32, u32),
    filter: FilterType,
) -> Result<Plane, MediaError> {
    // Rounding may have put an edge a hair outside, which the resampler would refuse.
    let (left, top) = (area.left.max(0.0), area.top.max(0.0));
    let (width, height) = (
        area.width.min(f64::from(size.0) - left),
        area.height.min(f64::from(size.1) - top),
    );
    let options = ResizeOptions::new()
        .resize_alg(ResizeAlg::Convolution(filter))
        .crop(left, top, width, height);
    let source = TypedImageRef::<P>::from_buffer(size.0, size.1, plane).map_err(|_| NO_SIZE)?;
    let mut bytes = vec![0; to.0 as usize * to.1 as usize * P::size()];
    let mut target = TypedImage::<P>::from_buffer(to.0, to.1, &mut bytes).map_err(|_| NO_SIZE)?;
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .map_err(|_| NO_SIZE)?;
    Ok(bytes)
}

/// The pixels of an axis that resampling `start` and `length` of it to `to` pixels can read: first and count.
fn window(start: f64, length: f64, size: u32, to: u32, support: f64) -> (u32, u32) {
    let reach = support * (length / f64::from(to)).max(1.0) + 1.0;
    // Both are within 0 and `size`.
    let first = (start - reach).floor().max(0.0) as u32;
    let end = (start + length + reach).ceil().min(f64::from(size)) as u32;
    (first, end - first)
}

/// The kernel and its reach at scale 1; nothing for nearest, which is no convolution.
fn convolution(filter: Filter) -> Option<(FilterType, f64)> {
    match filter {
        Filter::Nearest => None,
        Filter::Box => Some((FilterType::Box, 0.5)),
        Filter::Bilinear => Some((FilterType::Bilinear, 1.0)),
        Filter::Hamming => Some((FilterType::Hamming, 1.0)),
        Filter::Bicubic => Some((FilterType::CatmullRom, 2.0)),
        Filter::Lanczos => Some((FilterType::Lanczos3, 3.0)),
    }
}
