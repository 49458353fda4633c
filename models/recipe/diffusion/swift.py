"""Convolution and attention whose backward passes are fast on a CPU in bf16.

PyTorch's bf16 convolution runs forward through AVX512-BF16, but its backward pass falls back to a
slow loop, and so does that of its fused attention: with 2.11, a step of the UNet takes seven times as long
with them. Here the gradient of the input is another forward convolution, the gradient of the weights one matrix product, and
attention is written out. `hasten` puts them into any diffusers model; names and shapes of its
parameters stay as they are.
"""

import torch
import torch.nn.functional as F
from torch import nn

from .norm import SwiftNorm


def hasten(model: nn.Module) -> nn.Module:
    """The same model, bf16 and channels last, with swift convolutions and norms and plain attention."""
    for module in model.modules():
        if type(module) is nn.Conv2d:
            module.__class__ = SwiftConv
        elif type(module) is nn.GroupNorm:
            module.__class__ = SwiftNorm
    model.set_attn_processor(PlainAttention())
    return model.bfloat16().to(memory_format=torch.channels_last)


class SwiftConv(nn.Conv2d):
    """nn.Conv2d of any stride with odd or pixel-sized square kernels, no groups, no dilation."""

    def forward(self, x):
        if not torch.is_grad_enabled():
            return super().forward(x)
        return _Convolution.apply(x, self.weight, self.bias, self.stride[0], self.padding[0])


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, stride, padding):
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad = grad.contiguous(memory_format=torch.channels_last)
        flat = grad.permute(0, 2, 3, 1).reshape(-1, grad.shape[1])  # (n h w, out)
        for_x = _input_gradient(grad, weight, x.shape, ctx.stride, ctx.padding) if ctx.needs_input_grad[0] else None
        window = _windows(x, weight.shape[2], ctx.stride, ctx.padding, grad.shape[2:])
        side = weight.shape[2]
        for_weight = (flat.t() @ window).view(grad.shape[1], side, side, -1).permute(0, 3, 1, 2)
        for_bias = flat.sum(0) if ctx.needs_input_grad[2] else None
        return for_x, for_weight, for_bias, None, None


def _windows(x, side, stride, padding, out) -> torch.Tensor:
    """(n h w, side side in): what each output pixel sees; a row of a window lies together in memory, channels last."""
    n, channels = x.shape[:2]
    x = F.pad(x.permute(0, 2, 3, 1), (0, 0, padding, padding, padding, padding)).contiguous()
    a, b, c, d = x.stride()
    view = x.as_strided((n, *out, side, side * channels), (a, b * stride, c * stride, b, d))
    return view.reshape(n * out[0] * out[1], side * side * channels)


def _input_gradient(grad, weight, shape, stride, padding) -> torch.Tensor:
    """The transposed convolution as a plain one: the gradient spread out by the stride, the kernel turned round."""
    side = weight.shape[2]
    if stride > 1:
        n, channels, h, w = grad.shape
        spread = grad.new_zeros(n, channels, (h - 1) * stride + 1, (w - 1) * stride + 1).contiguous(memory_format=torch.channels_last)
        spread[:, :, ::stride, ::stride] = grad
        grad = spread
    before = side - 1 - padding
    after = [size - (have + before - side + 1) for size, have in zip(shape[2:], grad.shape[2:])]
    turned = weight.flip(2, 3).transpose(0, 1).contiguous(memory_format=torch.channels_last)
    if after[0] == after[1] == before:
        return F.conv2d(grad, turned, padding=before)
    return F.conv2d(F.pad(grad, (before, after[1], before, after[0])), turned)


class PlainAttention:
    """Softmax attention in four lines, for the `Attention` modules of diffusers.

    With `keep` set, `weights` holds the last call's attention (b, heads, queries, keys).
    """

    def __init__(self, keep: bool = False):
        self.keep, self.weights = keep, None

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        x, spatial = hidden_states, hidden_states.shape[2:]
        if len(spatial) == 2:  # the VAE's, whose input is a picture and which adds it again itself
            x = attn.group_norm(x).flatten(2).transpose(1, 2)
        context = x if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (f(y).unflatten(2, (attn.heads, -1)).transpose(1, 2) for f, y in ((attn.to_q, x), (attn.to_k, context), (attn.to_v, context)))
        weights = torch.softmax((q * attn.scale) @ k.transpose(2, 3), dim=-1)
        if self.keep:
            self.weights = weights
        out = attn.to_out[0]((weights @ v).transpose(1, 2).flatten(2))
        if len(spatial) == 2:
            out = out.transpose(1, 2).unflatten(2, spatial)
        return (out + hidden_states if attn.residual_connection else out) / attn.rescale_output_factor
