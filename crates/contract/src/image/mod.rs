//! The image task: its requests and what comes back.

mod capabilities;
mod check;
mod event;
mod reply;
mod request;

pub use capabilities::{ImageCapabilities, ImageParameter};
pub use event::{ImageDone, ImageEvent, ImageExpected, ImagePreview, ImageStarted, ImageStep};
pub use reply::ImageReply;
pub use request::{ImageRequest, InitImage, LoraWeight, MAX_IMAGES, MAX_PREVIEWS, MAX_STEPS, Mask};
