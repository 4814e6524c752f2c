"""Layers with a weight W + up down of which the factors alone train: their gradients without the whole one of the weight.

On n vectors or patches x [n, in] a layer answers y = x W'^T + b with W' = W + up down, `up` [out, width], `down` [width, in].
With dy [n, out], the gradient of a loss for y,

    dx = dy W'        d_up = dy^T z, z = x down^T [n, width]        d_down = u^T x, u = dy up [n, width]

where autograd, of a weight that is built, multiplies dW = dy^T x [out, in] first. Where n is small beside the weight, W' need
not be built either: z up^T is added to x W^T, and u down to dy W. A convolution is such a layer on patches; z and u are images
of `width` channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable
from torch.nn.functional import conv2d, linear

Layer = nn.Linear | nn.Conv2d
Pair = tuple[int, int]
ONE_PIXEL = (1, 1), (0, 0), (1, 1)
"""Stride, padding and dilation of a convolution of pixel by pixel."""


def factored(layer: Layer, x: Tensor, weight: Tensor, up: Tensor, down: Tensor, *, around: bool) -> Tensor:
    """The answer of a layer, with gradients for x, its bias and both factors but not for the `weight`: W' or, to go `around`, W.

    A convolution has neither groups nor other padding than zeros. Types are those of autocast where it is on. The gradients
    cannot be differentiated again.
    """
    x, weight, bias, up, down = _as_multiplied(x, weight, layer.bias, up, down)
    if isinstance(layer, nn.Linear):
        return _OnVectors.apply(x, weight, bias, up, down, around, False)
    moves = _pair(layer.stride), _pair(layer.padding), _pair(layer.dilation)
    batched = x.ndim == 4
    if batched and moves[:2] == ONE_PIXEL[:2] and _is_by_pixel(weight, x):
        return _OnVectors.apply(x, weight, bias, up, down, around, True)
    answer = _OnImages.apply(x if batched else x[None], weight, bias, up, down, around, moves)
    return answer if batched else answer[0]


class _OnVectors(Function):
    """x [..., in] -> [..., out], or [n, in, h, w] -> [n, out, h, w] with the channels of a pixel side by side.

    z and u lie in memory as [width, n]: products of few rows take less than half the time of such of few columns.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, up: Tensor, down: Tensor, around: bool, image: bool
    ) -> Tensor:
        vectors, W, z = _vectors(x, image), weight.flatten(1), None
        y = linear(vectors, W, bias)
        if around:
            z = down @ vectors.T
            y.addmm_(z.T, up.T)
        ctx.save_for_backward(vectors, W, up, down, z)
        ctx.shape, ctx.around, ctx.image = x.shape, around, image
        return _unfolded(y, x.shape, image)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, W, up, down, z = ctx.saved_tensors
        for_x, _, for_bias, for_up, for_down, *_ = ctx.needs_input_grad
        dy = _vectors(gradient, ctx.image)
        dx = dy @ W if for_x else None
        d_up = d_down = None
        if for_up:
            d_up = ((z if ctx.around else down @ x.T) @ dy).T
        if for_down or (for_x and ctx.around):
            u = up.T.contiguous() @ dy.T
            d_down = u @ x if for_down else None
            if dx is not None and ctx.around:
                dx.addmm_(u.T, down)
        if dx is not None:
            dx = _unfolded(dx, ctx.shape, ctx.image)
        return dx, None, dy.sum(0) if for_bias else None, d_up, d_down, None, None


class _OnImages(Function):
    """x [n, in, h, w] -> [n, out, h', w'] with any kernel, stride, padding and dilation."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, up: Tensor, down: Tensor, around: bool, moves: Any
    ) -> Tensor:
        y, z = conv2d(x, weight, bias, *moves), None
        up, down = up[:, :, None, None], down.reshape(-1, *weight.shape[1:])
        if around:
            z = conv2d(x, down, None, *moves)
            y.add_(conv2d(z, up))
        ctx.save_for_backward(x, weight, up, down, z)
        ctx.around, ctx.moves = around, moves
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, up, down, z = ctx.saved_tensors
        for_x, _, for_bias, for_up, for_down, *_ = ctx.needs_input_grad
        dx = _to_image(dy, x, weight, ctx.moves) if for_x else None
        d_up = d_down = None
        if for_up:
            d_up = _to_kernel(dy, z if ctx.around else conv2d(x, down, None, *ctx.moves), up, ONE_PIXEL).flatten(1)
        if for_down or (for_x and ctx.around):
            u = conv2d(dy, up.transpose(0, 1))
            d_down = _to_kernel(u, x, down, ctx.moves).flatten(1) if for_down else None
            if dx is not None and ctx.around:
                dx.add_(_to_image(u, x, down, ctx.moves))
        return dx, None, dy.sum((0, 2, 3)) if for_bias else None, d_up, d_down, None, None


def _vectors(x: Tensor, image: bool) -> Tensor:
    """[..., c] or [n, c, h, w] as the rows [m, c] of a matrix that lies in memory row by row."""
    if image:
        x = x.permute(0, 2, 3, 1)
    return x.reshape(-1, x.shape[-1]).contiguous()


def _unfolded(rows: Tensor, shape: torch.Size, image: bool) -> Tensor:
    """Back from `_vectors` of something of that shape; the number of channels may be another."""
    if image:
        return rows.view(shape[0], shape[2], shape[3], rows.shape[1]).permute(0, 3, 1, 2)
    return rows.view(*shape[:-1], rows.shape[1])


def _to_image(dy: Tensor, x: Tensor, kernel: Tensor, moves: Any) -> Tensor:
    """The gradient for x of a convolution."""
    return torch.ops.aten.convolution_backward(dy, x, kernel, None, *moves, False, [0, 0], 1, [True, False, False])[0]


def _to_kernel(dy: Tensor, x: Tensor, kernel: Tensor, moves: Any) -> Tensor:
    """The gradient for its kernel."""
    return torch.ops.aten.convolution_backward(dy, x, kernel, None, *moves, False, [0, 0], 1, [False, True, False])[1]


def _as_multiplied(x: Tensor, *others: Tensor | None) -> tuple[Any, ...]:
    """As autocast hands them to a product, where it is on; gradients come back in the types that were given."""
    kind = x.device.type
    if kind == "meta" or not torch.is_autocast_enabled(kind):
        return x, *others
    lower = torch.get_autocast_dtype(kind)
    return tuple(each if each is None or each.dtype == torch.float64 else each.to(lower) for each in (x, *others))


def _is_by_pixel(kernel: Tensor, x: Tensor) -> bool:
    """Whether a convolution is one matrix on the channels of every pixel, which lie side by side."""
    return kernel.shape[2] == kernel.shape[3] == 1 and x.is_contiguous(memory_format=torch.channels_last)


def _pair(value: Any) -> Pair:
    first, second = value if isinstance(value, tuple | list) else (value, value)
    return int(first), int(second)
