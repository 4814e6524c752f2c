"""Atomic feature mimicking (AFM): principal components of what a layer puts out on the training data."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.conv import ConvFactors, on_patches
from benchmarks.models.lowrank.factors import EmbeddingFactors, LinearFactors, as_float64, canonical_signs
from benchmarks.models.lowrank.moments import InputMoments


def afm_linear(linear: nn.Linear, moments: InputMoments) -> LinearFactors:
    """Projects the output on the leading eigenvectors U of its covariance, about its mean mu.

    y ~ U U^T (y - mu) + mu, as factors (U^T W, U^T b) and (U, mu - U U^T mu) (Yu et al., Unified Low-rank
    Compression Framework for Click-through Rate Prediction, KDD 2024). The mean squared error over the calibration
    rows, summed over the outputs, is the sum of the dropped energies: no affine map of this rank has a smaller one.
    """
    weight = as_float64(linear.weight)
    mean, covariance = moments.output(linear)
    # W has rank min(o, i) at most, and so has the covariance of its outputs.
    energies, U = _principal_components(covariance, min(weight.shape))
    # The sign of a component is free, but a ReLU between the factors passes one side only: the mean goes there.
    U = U * torch.where(mean @ U < 0, -1.0, 1.0).to(U)
    return LinearFactors(
        spectrum=energies,
        down=U.T @ weight,
        up=U,
        down_bias=None if linear.bias is None else U.T @ as_float64(linear.bias),
        offset=mean,
        shift=U.T @ mean,
        dense_params=sum(parameter.numel() for parameter in linear.parameters()),
        dtype=linear.weight.dtype,
        device=linear.weight.device,
    )


def afm_conv(conv: nn.Conv2d, moments: InputMoments) -> ConvFactors:
    """AFM of the matrix that a convolution is on patches: principal components of its output channels."""
    return ConvFactors.of(conv, afm_linear(on_patches(conv), moments))


def afm_embedding(embedding: FieldEmbedding, counts: torch.Tensor) -> EmbeddingFactors:
    """AFM of each field's table from the number of times that each row occurs in the training data.

    A lookup puts out the row itself, so the moments of its output are those of the rows weighted by `counts` [sum of
    cardinalities]: no pass through the network is needed. A field without any count has its rows count alike.
    """
    weight = as_float64(embedding.weight)
    fields, dim = len(embedding.cardinalities), embedding.embedding_dim
    z = torch.zeros_like(weight)
    projection = weight.new_zeros(fields, dim, dim)
    means = weight.new_zeros(fields, dim)
    spectrum = weight.new_zeros(dim)
    parts = (tensor.split(embedding.cardinalities) for tensor in (weight, counts.to(weight), z))
    for field, (table, count, rows) in enumerate(zip(*parts, strict=True)):
        share = count / count.sum() if count.any() else torch.full_like(count, 1 / len(count))
        means[field] = share @ table
        centred = table - means[field]
        # n points span n - 1 dimensions about their mean; what eigh finds beyond that is rounding.
        rank = min(len(table) - 1, dim)
        energies, U = _principal_components(centred.T @ (share[:, None] * centred), rank)
        rows[:, :rank] = centred @ U
        projection[field, :rank] = U.T
        spectrum[:rank] += energies
    return EmbeddingFactors(
        spectrum, embedding.cardinalities, z, projection, means, embedding.weight.dtype, embedding.weight.device
    )


def _principal_components(covariance: torch.Tensor, rank: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `rank` largest eigenvalues, descending and not negative, and their eigenvectors as columns."""
    values, vectors = torch.linalg.eigh(covariance)
    leading = vectors.flip(1)[:, :rank]
    return values.flip(0)[:rank].clamp(min=0), leading * canonical_signs(leading)
