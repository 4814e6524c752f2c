"""LESS attention against explicit Kronecker products, and its rivals: ranks, rows, masks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.models.hyperspectral.blocks import initialise
from benchmarks.models.hyperspectral.less_attention import (
    AttentionPool,
    AttentionShape,
    Branch,
    LessAttention,
    LowDimPool,
    kronecker_sum,
)
from benchmarks.models.hyperspectral.operators import OPERATORS
from benchmarks.models.hyperspectral.perception import perception_mask
from benchmarks.models.hyperspectral.position import Places, spatial_rotation, spectral_rotation

B, C, GRID, HEADS = 2, 4, (2, 3), 2
N = GRID[0] * GRID[1]
WAVELENGTHS = torch.tensor([[440.0, 900.0, 1700.0, 2300.0]], dtype=torch.float64)


def tokens(dim: int) -> Tensor:
    return torch.randn(B, C + 1, N + 1, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def made(operator: str = "less", dim: int = 32, channel_dim: int = 4, **settings: object) -> torch.nn.Module:
    torch.manual_seed(0)
    attention = OPERATORS[operator](AttentionShape(dim, HEADS, channel_dim, **settings)).apply(initialise)
    for parameter in attention.parameters():  # biases begin at zero, where an error in them would not show
        parameter.data += 0.05 * torch.randn_like(parameter)
    return attention.double().eval()


def places(widths: tuple[int, int], mask: Tensor | None = None) -> Places:
    spectral = spectral_rotation(WAVELENGTHS, (400.0, 2500.0), widths[0])
    return Places(spectral, spatial_rotation(GRID, widths[1], None, torch.device("cpu")), mask)


def softmax_matrices(branch: Branch, x: np.ndarray, rotation, head: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of one sample [length, width] and one head: attention [length, length] and values [length, k] of every rank."""
    size, ranks, heads = branch.head, branch.rank, branch.heads
    qk = x @ branch.qk.weight.numpy().T + branch.qk.bias.numpy()
    v = x @ branch.v.weight.numpy().T + branch.v.bias.numpy()
    angle = np.arctan2(rotation.sin[0].numpy(), rotation.cos[0].numpy())[:, : size // 2]
    found = []
    for rank in range(ranks):
        q, k = (qk[:, part * heads * ranks * size + (head * ranks + rank) * size :][:, :size] for part in range(2))
        q, k = ((each[:, : size // 2] + 1j * each[:, size // 2 :]) * np.exp(1j * angle) for each in (q, k))
        scores = np.exp((q @ k.conj().T).real / np.sqrt(size))
        own = head if branch.values == 1 else head * ranks + rank
        found.append((scores / scores.sum(1, keepdims=True), v[:, own * size :][:, :size]))
    return found


@pytest.mark.parametrize("form", ["v1", "v2"])
@pytest.mark.parametrize("rank", [1, 3])
@torch.no_grad()
def test_a_head_is_a_sum_of_kronecker_products(rank: int, form: str) -> None:
    attention = made(rank=rank, form=form)
    assert isinstance(attention, LessAttention)
    x, where, taken = tokens(32), places(attention.widths), []
    attention.proj.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    answer = attention(x, where)
    bands, positions = attention.pool(x)
    bands, positions = attention.channel_norm(bands), attention.spatial_norm(positions)
    for sample in range(B):
        for head in range(HEADS):
            channel = softmax_matrices(attention.channel, bands[sample].numpy(), where.spectral, head)
            spatial = softmax_matrices(attention.spatial, positions[sample].numpy(), where.spatial, head)
            expected = sum(
                np.kron(ac, as_) @ np.kron(vc, vs) for (ac, vc), (as_, vs) in zip(channel, spatial, strict=True)
            ) / (rank if form == "v2" else 1)
            found = taken[0][sample, :, :, 16 * head :][..., :16].reshape((C + 1) * (N + 1), 16)
            np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    torch.testing.assert_close(answer, attention.proj(taken[0]))


@pytest.mark.parametrize(("form", "rank"), [("v1", 1), ("v1", 3), ("v2", 1), ("v2", 3)])
@torch.no_grad()
def test_the_rank_of_a_head_is_that_of_its_setting(form: str, rank: int) -> None:
    attention, taken = made(rank=rank, form=form), []
    attention.proj.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    attention(tokens(32), places(attention.widths))
    head = taken[0][0, :, :, :16].unflatten(-1, (4, 4)).permute(0, 2, 1, 3).reshape((C + 1) * 4, (N + 1) * 4)
    assert int(torch.linalg.matrix_rank(head, rtol=1e-6)) == rank


@pytest.mark.parametrize("rank", [1, 2, 8])
def test_the_fused_sum_over_ranks_is_the_materialised_one(rank: int) -> None:
    channel, spatial = torch.randn(2, 3, rank, 5, 4), torch.randn(2, 3, rank, 7, 6)
    whole = (channel[:, :, :, :, None, :, None] * spatial[:, :, :, None, :, None, :]).sum(2)
    expected = whole.permute(0, 2, 3, 1, 4, 5).flatten(3)
    torch.testing.assert_close(kronecker_sum(channel, spatial), expected)


@torch.no_grad()
def test_pools_ask_from_cls_and_add_it() -> None:
    """Plain loops over samples, bands and heads."""
    attention, x = made(), tokens(32)
    pool = attention.pool
    assert isinstance(pool, LowDimPool)
    bands, positions = pool(x)
    down = pool.down(x)
    by_band, by_position = down[..., :8], down[..., 8:]

    def pooled(sequence: Tensor, norm: torch.nn.Module, layers: AttentionPool) -> np.ndarray:
        normed = norm(sequence).numpy()
        weights = {name: (layers.get_submodule(name).weight.numpy(), layers.get_submodule(name).bias.numpy())
                   for name in ("q", "kv", "proj")}  # fmt: skip
        query = normed[0] @ weights["q"][0].T + weights["q"][1]
        key, value = np.split(normed @ weights["kv"][0].T + weights["kv"][1], 2, 1)
        heads = []
        for part in np.split(np.arange(len(query)), HEADS):
            scores = np.exp(key[:, part] @ query[part] / np.sqrt(len(part)))
            heads.append(scores / scores.sum() @ value[:, part])
        return sequence[0].numpy() + np.concatenate(heads) @ weights["proj"][0].T + weights["proj"][1]

    for sample in range(B):
        for band in range(C + 1):
            expected = pooled(by_band[sample, band], pool.channel_norm, pool.channel_pool)
            np.testing.assert_allclose(bands[sample, band].numpy(), expected, atol=1e-9)
        for position in range(N + 1):
            expected = pooled(by_position[sample, :, position], pool.spatial_norm, pool.spatial_pool)
            np.testing.assert_allclose(positions[sample, position].numpy(), expected, atol=1e-9)


@torch.no_grad()
def test_full_attention_is_attention_over_all_tokens() -> None:
    attention, x = made("full"), tokens(32)
    found = attention(x, Places())
    qkv = attention.qkv(x).flatten(1, 2).unflatten(-1, (3, HEADS, 16)).permute(2, 0, 3, 1, 4)
    scores = (qkv[0] @ qkv[1].mT / 4).softmax(-1)
    expected = attention.proj((scores @ qkv[2]).transpose(1, 2).flatten(2)).view_as(x)
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_additive_fusion_begins_about_as_wide_as_the_product() -> None:
    """At the sizes that the scale was made for: ViT-S, 120 bands, 64 positions."""
    taken: dict[str, Tensor] = {}
    x = torch.randn(1, 121, 65, 384, generator=torch.Generator().manual_seed(0))
    for operator in ("less", "additive"):
        torch.manual_seed(0)
        attention = OPERATORS[operator](AttentionShape(384, 6, 4)).apply(initialise)
        attention.proj.register_forward_pre_hook(
            lambda _, inputs, operator=operator: taken.update({operator: inputs[0]})
        )
        attention(x, Places())
    assert 0.5 < float(taken["additive"].std() / taken["less"].std()) < 2


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize("masked", [False, True])
@torch.no_grad()
def test_row_0_alone_is_row_0_of_all(operator: str, masked: bool) -> None:
    attention, x = made(operator), tokens(32)
    where = places(attention.widths, perception_mask(GRID, 2, 10.0, 20.0) if masked else None)
    torch.testing.assert_close(attention(x, where, True), attention(x, where)[:, :1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS)
@torch.no_grad()
def test_what_lies_outside_the_perception_field_is_not_seen(operator: str) -> None:
    """Without pools, which see everything: the last position does not reach the first one, but for the CLS tokens."""
    attention, x = made(operator), tokens(32)
    alone = Places(mask=torch.eye(N + 1, dtype=torch.bool))
    changed = x.clone()
    changed[:, :, -1] += 1
    before, after = attention(x, alone), attention(changed, alone)
    assert not torch.allclose(before[:, :, -1], after[:, :, -1])
    if operator in ("full", "axial"):
        torch.testing.assert_close(after[:, :, :-1], before[:, :, :-1], rtol=0, atol=1e-12)
    else:
        positions = (
            attention.spatial(attention.spatial_norm(attention.pool(t)[1]), None, alone.mask) for t in (x, changed)
        )
        first, second = positions
        torch.testing.assert_close(second[..., :-1, :], first[..., :-1, :], rtol=0, atol=1e-12)


@pytest.mark.parametrize("operator", OPERATORS)
@torch.no_grad()
def test_attention_hears_of_wavelengths_and_positions(operator: str) -> None:
    attention, x = made(operator), tokens(32)
    where = places(attention.widths)
    assert where.spectral is not None
    flipped = where._replace(spectral=spectral_rotation(WAVELENGTHS.flip(1), (400.0, 2500.0), attention.widths[0]))
    whole, nowhere = attention(x, where), attention(x, where._replace(spatial=None, spectral=None))
    assert float((attention(x, flipped) - whole).abs().max()) > 1e-4
    assert float((nowhere - whole).abs().max()) > 1e-4


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="divides dim"):
        AttentionShape(30, 4, 4)
    with pytest.raises(ValueError, match="1 or more"):
        AttentionShape(32, 4, 4, rank=0)
    with pytest.raises(BenchmarkError, match="v2"):
        AttentionShape(32, 4, 4, form="v3")
