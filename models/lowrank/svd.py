"""Truncated SVD: the best approximation of a weight itself, without data."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.conv import ConvFactors, on_patches
from benchmarks.models.lowrank.factors import EmbeddingFactors, LinearFactors, as_float64, canonical_signs


def svd_linear(linear: nn.Linear) -> LinearFactors:
    """W = U S V^T as up = U S^(1/2), with the bias, and down = S^(1/2) V^T; energies are squared singular values."""
    U, S, Vt = thin_svd(as_float64(linear.weight))
    root = S.sqrt()
    return LinearFactors(
        spectrum=S.square(),
        down=root[:, None] * Vt,
        up=U * root,
        down_bias=None,
        offset=None if linear.bias is None else as_float64(linear.bias),
        shift=None,
        dense_params=sum(parameter.numel() for parameter in linear.parameters()),
        dtype=linear.weight.dtype,
        device=linear.weight.device,
    )


def svd_conv(conv: nn.Conv2d) -> ConvFactors:
    """Those of the matrix that a convolution is on patches: the best approximation of its weights."""
    return ConvFactors.of(conv, svd_linear(on_patches(conv)))


def svd_embedding(embedding: FieldEmbedding) -> EmbeddingFactors:
    """Each field's table as z = U S and P = V^T, every row counting alike and no mean removed."""
    weight = as_float64(embedding.weight)
    fields, dim = len(embedding.cardinalities), embedding.embedding_dim
    z = torch.zeros_like(weight)
    projection = weight.new_zeros(fields, dim, dim)
    spectrum = weight.new_zeros(dim)
    for rows, projector, table in zip(
        z.split(embedding.cardinalities), projection, weight.split(embedding.cardinalities), strict=True
    ):
        U, S, Vt = thin_svd(table)
        rank = len(S)
        rows[:, :rank] = U * S
        projector[:rank] = Vt
        spectrum[:rank] += S.square()
    return EmbeddingFactors(
        spectrum, embedding.cardinalities, z, projection, None, embedding.weight.dtype, embedding.weight.device
    )


def thin_svd(matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The thin SVD with the largest entry of each right vector positive."""
    U, S, Vt = torch.linalg.svd(matrix, full_matrices=False)
    signs = canonical_signs(Vt.T)
    return U * signs, S, signs[:, None] * Vt
