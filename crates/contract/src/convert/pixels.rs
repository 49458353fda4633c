//! Pixels and masks, on the wire and off it. The bytes are shared, never copied.

use crate::{Invalid, Mask, RgbImage, proto};

impl TryFrom<proto::Image> for RgbImage {
    type Error = Invalid;

    fn try_from(wire: proto::Image) -> Result<Self, Invalid> {
        Self::new(wire.width, wire.height, wire.rgb)
    }
}

impl From<RgbImage> for proto::Image {
    fn from(image: RgbImage) -> Self {
        Self {
            width: image.width(),
            height: image.height(),
            rgb: image.to_bytes(),
        }
    }
}

impl TryFrom<proto::Mask> for Mask {
    type Error = Invalid;

    fn try_from(wire: proto::Mask) -> Result<Self, Invalid> {
        Self::new(wire.width, wire.height, wire.plane)
    }
}

impl From<Mask> for proto::Mask {
    fn from(mask: Mask) -> Self {
        Self {
            width: mask.width(),
            height: mask.height(),
            plane: mask.to_bytes(),
        }
    }
}
