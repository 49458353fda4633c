//! Between images and sequences of tokens. tch can't name memory formats; permuting, copying and permuting back does
//! what `memory_format=torch.channels_last` does.

use tch::Tensor;

/// `[b, c, h, w]` with the channels of a pixel side by side in memory; copies only if they are not.
pub(crate) fn channels_last(x: &Tensor) -> Tensor {
    x.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

/// `[b, c, h, w]` -> `[b, h * w, c]`; free for channels-last memory.
pub(crate) fn to_tokens(x: &Tensor) -> Tensor {
    let (b, c, h, w) = size4(x);
    x.permute([0, 2, 3, 1]).reshape([b, h * w, c])
}

/// `[b, h * w, c]` -> `[b, c, h, w]` in channels-last memory, without a copy.
pub(crate) fn from_tokens(x: &Tensor, height: i64, width: i64) -> Tensor {
    let size = x.size();
    x.reshape([size[0], height, width, size[2]]).permute([0, 3, 1, 2])
}

/// The four sides of an image tensor.
fn size4(x: &Tensor) -> (i64, i64, i64, i64) {
    match x.size().as_slice() {
        &[b, c, h, w] => (b, c, h, w),
        other => panic!("an image tensor has four dimensions, not {other:?}"),
    }
}
