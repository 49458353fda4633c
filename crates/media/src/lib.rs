//! The one place where bytes from outside become pixels.
//!
//! ```text
//! Source -> Fetcher (URL: address policy, limits) -\
//!        -> inline  (base64, data: URI)  -----------+-> Decoder -> resize -> Pixels
//!        -> upload  -------------------------------/
//! ```
//!
//! [`Media`] is all of it behind one call, off the reactor, with memory reserved before it is allocated. What comes out
//! is RGB8, upright, composited over white, and of the size that a model asks for, equal to what Pillow and
//! transformers' image processors give within a rounding: 8-bit resampling in Pillow's order, `exif_transpose`,
//! `alpha_composite`, `center_crop`. Colour profiles are ignored, as they are there.
//!
//! Formats are told by their first bytes: JPEG, PNG, WebP, the first frame of a GIF. Limits are checked in the header,
//! before anything of the picture's size is allocated.
//!
//! The other way, [`Encoding`] says as what file pixels are written: PNG with texts beside, JPEG, or lossless WebP.
//!
//! Nothing here knows models, plugins or HTTP routes: [`ResizeSpec`] says what is wanted, [`MediaError::code`] what
//! went wrong.

#![forbid(unsafe_code)]

mod budget;
mod decode;
mod encode;
mod error;
mod fetch;
mod inline;
mod media;
mod orientation;
mod pixels;
mod pool;
mod resize;
mod source;

pub use self::budget::Reservation;
pub use self::decode::{Checked, Decoded, Decoder, Format, Header};
pub use self::encode::Encoding;
pub use self::error::{FetchFailure, IndexedError, MediaError};
pub use self::fetch::{AllowEntry, AllowEntryError, FetchConfig, Fetched, Fetcher, Resolve, SystemResolver};
pub use self::media::{Media, MediaBuildError, MediaConfig, Prepared, SizeRule};
pub use self::pixels::{Alpha, Pixels, Plane};
pub use self::resize::{Filter, ResizeMode, ResizeSpec};
pub use self::source::Source;
