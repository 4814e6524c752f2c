"""The later adapters against their equations, written out in NumPy or by loops, on a linear layer or a convolution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.attach import Attach
from benchmarks.methods.lora import LoRA
from benchmarks.methods.oft import OFT
from benchmarks.models.lowrank.fourier import FourierUpdate
from benchmarks.models.lowrank.kernelised import KernelUpdate
from benchmarks.models.lowrank.principal import OrthonormalUpdate
from benchmarks.models.lowrank.products import HadamardUpdate, KroneckerUpdate, near_square
from benchmarks.models.lowrank.random_bases import RandomBasesUpdate, RandomProjectionUpdate, uniform
from benchmarks.models.lowrank.rotation import RotationUpdate
from benchmarks.models.lowrank.shards import ShardUpdate
from benchmarks.models.lowrank.surgery import conv_units
from benchmarks.models.lowrank.triplets import TripletUpdate
from benchmarks.models.lowrank.update import Update
from benchmarks.models.lowrank.wavelet import (
    DAUBECHIES_2,
    HAAR,
    LowRankWaveletUpdate,
    SparseWaveletUpdate,
    synthesis,
)


@pytest.fixture
def weight() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(9, 7)


@pytest.fixture
def kernel() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(6, 4, 3, 2)


def drawn(update: Update, std: float = 0.5) -> dict[str, np.ndarray]:
    """Random numbers for all that trains, and all of the update's numbers in NumPy."""
    with torch.no_grad():
        for parameter in update.parameters():
            parameter.normal_(std=std)
    return {name: value.double().numpy() for name, value in update.state_dict().items()}


def change(update: Update, weight: torch.Tensor) -> np.ndarray:
    """What the update adds, as a matrix."""
    return (update(weight) - weight).detach().flatten(1).double().numpy()


def test_olora_starts_from_orthonormal_columns_and_keeps_the_rest(weight: torch.Tensor) -> None:
    update = OrthonormalUpdate(weight, 3)
    torch.testing.assert_close(update.up.T @ update.up, torch.eye(3))
    # Rows of R begin where columns of W do.
    assert update.down[1:, 0].abs().max() < 1e-6
    torch.testing.assert_close((update.up @ update.down)[:, :3], weight[:, :3])
    with torch.no_grad():
        update.up.zero_()
    assert update(weight)[:, :3].abs().max() < 1e-5
    assert torch.linalg.matrix_rank(update(weight)) == 4


def test_adalora_scales_triplets(weight: torch.Tensor) -> None:
    update = TripletUpdate(weight, 2, 1.5)
    n = drawn(update)
    np.testing.assert_allclose(change(update, weight), 1.5 * n["up"] @ np.diag(n["values"]) @ n["down"], atol=1e-6)


def test_vera_scales_directions_and_outputs(weight: torch.Tensor) -> None:
    update = RandomProjectionUpdate(weight, 20)
    n = drawn(update)
    assert sum(parameter.numel() for parameter in update.parameters()) == 20 + 9
    np.testing.assert_allclose(change(update, weight), np.diag(n["b"]) @ n["B"] @ np.diag(n["d"]) @ n["A"], atol=2e-5)


def test_random_matrices_are_shared_between_layers_and_follow_the_seed() -> None:
    torch.manual_seed(3)
    wide = RandomProjectionUpdate(torch.zeros(40, 70), 5)
    torch.rand(10)  # what was drawn in between does not matter
    narrow = RandomProjectionUpdate(torch.zeros(30, 50), 5)
    assert torch.equal(wide.B[:30], narrow.B)
    torch.testing.assert_close(wide.A[:, :50] * math.sqrt(70), narrow.A * math.sqrt(50))
    assert abs(np.corrcoef(wide.A.flatten()[:200], wide.B.flatten())[0, 1]) < 0.3
    found = uniform(1000, 20)
    assert found.std().item() == pytest.approx(1, abs=0.02)
    torch.manual_seed(4)
    assert not torch.equal(RandomProjectionUpdate(torch.zeros(30, 50), 5).B, narrow.B)


@pytest.mark.parametrize("shape", [(9, 7), (7, 9)])
@pytest.mark.parametrize("bases", [1, 3, 7])
def test_randlora_sums_scaled_bases_to_full_rank(shape: tuple[int, int], bases: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape)
    update = RandomBasesUpdate(weight, bases, 2.0)
    n = drawn(update)
    r = math.ceil(7 / bases)
    total = np.zeros((9, 7))
    for j in range(bases):
        total += n["B"][:, j * r : (j + 1) * r] @ np.diag(n["lambdas"][j]) @ n["A"] @ np.diag(n["gammas"][j])
    np.testing.assert_allclose(change(update, weight), 2 * (total if shape == (9, 7) else total.T), atol=2e-4)
    assert np.linalg.matrix_rank(total) == 7
    assert sum(parameter.numel() for parameter in update.parameters()) == bases * (r + 7)


def test_loha_reaches_the_square_of_its_rank(weight: torch.Tensor) -> None:
    update = HadamardUpdate(weight, 2, 0.5)
    n = drawn(update)
    product = (n["up_1"] @ n["down_1"]) * (n["up_2"] @ n["down_2"])
    np.testing.assert_allclose(change(update, weight), 0.5 * product, atol=1e-6)
    assert np.linalg.matrix_rank(product) == 4


@pytest.mark.parametrize("rank", [1, 50])
def test_lokr_is_a_kronecker_product_that_keeps_kernels_together(kernel: torch.Tensor, rank: int) -> None:
    update = KroneckerUpdate(kernel, rank, 0.5)
    n = drawn(update)
    assert ("block" in n) == (rank == 50)
    block = n["block"] if rank == 50 else n["up"] @ n["down"]
    assert (n["C"].shape, block.shape) == ((2, 2), (3, 2 * 6))
    found = change(update, kernel).reshape(kernel.shape)
    for o, i in np.ndindex(6, 4):
        expected = 0.5 * n["C"][o // 3, i // 2] * block.reshape(3, 2, 3, 2)[o % 3, i % 2]
        np.testing.assert_allclose(found[o, i], expected, atol=1e-6)
    assert [near_square(size) for size in (1, 7, 12, 36)] == [(1, 1), (1, 7), (3, 4), (6, 6)]


@pytest.mark.parametrize("block", [2, 3, 5, 50])
def test_oft_turns_inputs_in_blocks(weight: torch.Tensor, block: int) -> None:
    update = RotationUpdate(weight, block)
    drawn(update)
    turned = update(weight).detach()
    torch.testing.assert_close(turned @ turned.T, weight @ weight.T, atol=1e-4, rtol=1e-4)
    R = (torch.linalg.pinv(weight) @ turned).numpy()
    np.testing.assert_allclose(R @ R.T, np.eye(7), atol=1e-4)
    places = np.arange(7) // block
    assert np.abs(R[places[:, None] != places[None]]).max(initial=0) < 1e-5
    last = R[7 - 7 % block :, 7 - 7 % block :]
    assert 7 % block != 1 or last == pytest.approx(1)
    first = min(block, 7)
    S = np.zeros((first, first))
    S[np.triu_indices(first, 1)] = update.angles[0].detach().numpy()
    S -= S.T
    np.testing.assert_allclose(R[:first, :first], (np.eye(first) + S) @ np.linalg.inv(np.eye(first) - S), atol=1e-4)


def test_oft_refuses_what_has_nothing_to_turn() -> None:
    with pytest.raises(BenchmarkError, match="here has 1 input"):
        OFT().update("here", torch.zeros(4, 1, 1, 1))


def test_fourierft_is_the_inverse_transform_of_what_trains(kernel: torch.Tensor) -> None:
    update = FourierUpdate(kernel, 10, 30.0)
    n = drawn(update)
    F = np.zeros(6 * 24)
    F[n["places"].astype(int)] = n["values"]
    np.testing.assert_allclose(change(update, kernel), 30 * np.fft.ifft2(F.reshape(6, 24)).real, atol=1e-6)
    assert len(set(n["places"])) == 10
    assert len(FourierUpdate(kernel, 10**6, 1.0).values) == 6 * 24
    assert torch.equal(update.places, FourierUpdate(kernel + 1, 10, 1.0).places)


@pytest.mark.parametrize("low", [HAAR, DAUBECHIES_2])
def test_wavelets_are_orthonormal_and_average(low: tuple[float, ...]) -> None:
    S = synthesis(torch.eye(12, dtype=torch.float64), low, 0).T.numpy()
    np.testing.assert_allclose(S @ S.T, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(S @ np.ones(12), [math.sqrt(2)] * 6 + [0] * 6, atol=1e-12)
    if low is DAUBECHIES_2:  # two moments vanish: away from the border, details of a straight line are zero
        np.testing.assert_allclose((S @ np.arange(12))[6:11], 0, atol=1e-12)
    x = torch.randn(3, 12, dtype=torch.float64)
    np.testing.assert_allclose(synthesis(x, low, 1).numpy(), x.numpy() @ S, atol=1e-12)


def test_waveft_adds_haar_functions_and_cuts_odd_sizes(weight: torch.Tensor) -> None:
    update = SparseWaveletUpdate(weight, 5, 4.0)
    n = drawn(update)
    C = np.zeros(10 * 8)
    C[n["places"].astype(int)] = n["values"]
    C = C.reshape(10, 8)
    expected = np.zeros((10, 8))
    for row, column in np.ndindex(5, 4):
        a, b, c, d = C[row, column], C[row, column + 4], C[row + 5, column], C[row + 5, column + 4]
        expected[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = [
            [a + b + c + d, a - b + c - d],
            [a + b - c - d, a - b - c + d],
        ]
    np.testing.assert_allclose(change(update, weight), 4 * expected[:9, :7] / 2, atol=1e-5)


def test_wara_updates_averages_and_details_alike(weight: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    update = LowRankWaveletUpdate(weight, 2, 0.5)
    n = drawn(update)
    S_o, S_i = (synthesis(torch.eye(size, dtype=torch.float64), DAUBECHIES_2, 0).T.numpy() for size in (10, 8))
    product = n["up"] @ n["down"]
    expected = 0.5 * S_o.T @ np.kron(np.eye(2), product) @ S_i
    np.testing.assert_allclose(change(update, weight), expected[:9, :7], atol=1e-5)
    assert np.linalg.matrix_rank(expected) == 4
    # With the shortest wavelet nothing is left of the transform, as the class says.
    monkeypatch.setattr("benchmarks.models.lowrank.wavelet.DAUBECHIES_2", HAAR)
    np.testing.assert_allclose(change(update, weight), 0.5 * np.kron(product, np.eye(2))[:9, :7], atol=1e-5)


def test_miss_repeats_its_shard_over_columns(weight: torch.Tensor) -> None:
    update = ShardUpdate(weight, 3)
    shard = drawn(update)["shard"]
    np.testing.assert_allclose(change(update, weight), np.hstack([shard, shard, shard[:, :1]]), atol=1e-6)


def test_snell_keeps_the_largest_differences_of_distances(weight: torch.Tensor) -> None:
    update = KernelUpdate(weight, 2, 0.75, 0.5)
    assert torch.equal(update.outputs[0], update.outputs[1])
    n = drawn(update)
    K = np.zeros((9, 7))
    for i, j in np.ndindex(9, 7):
        first, second = (np.linalg.norm(n["outputs"][half, i] - n["inputs"][half, j]) for half in (0, 1))
        K[i, j] = 0.5 * (first - second)
    kept = np.argsort(-np.abs(K), axis=None)[: round(0.25 * 63)]
    expected = np.zeros(63)
    expected[kept] = K.flat[kept]
    np.testing.assert_allclose(change(update, weight), expected.reshape(9, 7), atol=1e-6)
    assert np.linalg.matrix_rank(K) > 4, "distances of points in few dimensions are not of low rank"


def test_adapters_update_grouped_convolutions_too_and_compression_does_not() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, groups=8),
        nn.Conv2d(8, 6, 1),
        nn.Conv2d(6, 6, 3, padding=1, padding_mode="reflect"),
    )
    assert list(conv_units(network)) == ["1"]
    assert list(conv_units(network, ["1"], every=True)) == ["0", "2"]
    method: Attach = LoRA(rank=2)
    adapted = method.adapt(network, None)  # type: ignore[arg-type]
    assert sum(p.numel() for p in adapted.parameters() if p.requires_grad) == 2 * ((8 + 9) + (8 + 6) + (6 + 54))
    for layer in adapted:
        nn.init.normal_(layer.parametrizations.weight[0].up)
    x = torch.randn(2, 8, 7, 7)
    answer = adapted(x).detach()
    torch.testing.assert_close(method.merged(adapted)(x).detach(), answer, atol=1e-4, rtol=1e-4)
    assert type(network[0]) is nn.Conv2d
