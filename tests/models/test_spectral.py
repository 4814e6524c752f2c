"""SALT and its kin against a dense rendering in NumPy, every way of computing against every other, and the sheet's counts."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.methods.salt import SALT
from benchmarks.methods.ssam import SSAM
from benchmarks.models.lowrank import spectral, spectrum
from benchmarks.models.lowrank.spectral import BandUpdate, SaltUpdate, SpectralUpdate, TopValuesUpdate
from benchmarks.models.lowrank.spectrum import singular_pairs
from benchmarks.models.lowrank.update import LowRankUpdate, acts_on_patches, attach

TOP, RANK = 5, 2
LAYERS = {
    "wide": lambda: nn.Linear(24, 14),
    "tall": lambda: nn.Linear(14, 24, bias=False),
    "convolution": lambda: nn.Conv2d(4, 14, (3, 2), stride=(2, 1), padding=(1, 2), dilation=(1, 2)),
}


def salted(layer: nn.Module, relu: str, rank: int = RANK, seed: int = 0, std: float = 0.4) -> SaltUpdate:
    """With all that trains drawn at random, so that some of what a relu sees is negative, of the residual where std is large."""
    layer.requires_grad_(False)
    attach({"": layer}, lambda _, weight: SaltUpdate(weight, singular_pairs(weight), TOP, rank, relu))
    (update,) = layer.parametrizations.weight
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in update.parameters():
            parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
        update.scale[0] = -1.5
        update.shift[-1] = -2.0
    return update


def rendered(layer: nn.Module, update: SaltUpdate, relu: str) -> np.ndarray:
    """W' = U relu(Sigma') Vt with Sigma' written out, from the equations alone and NumPy's own singular vectors."""
    weight = layer.parametrizations.weight.original.double().numpy()
    U, s, Vt = np.linalg.svd(weight.reshape(len(weight), -1), full_matrices=False)
    for j, row in enumerate(Vt):
        if row[np.abs(row).argmax()] < 0:
            U[:, j], Vt[j] = -U[:, j], -row
    numbers = {name: parameter.detach().double().numpy() for name, parameter in update.named_parameters()}
    A, B = 1 + numbers["scale"], numbers["shift"]
    sigma = np.zeros((len(s), len(s)))
    sigma[:TOP, :TOP] = np.diag(A * s[:TOP] + B)
    sigma[TOP:, TOP:] = np.diag(s[TOP:]) + (numbers["M"] if "M" in numbers else numbers["X"] @ numbers["Y"])
    if relu == "full":
        sigma = np.maximum(sigma, 0)
    elif relu == "diag":
        np.fill_diagonal(sigma, np.maximum(sigma.diagonal(), 0))
    return (U @ sigma @ Vt).reshape(weight.shape)


@pytest.mark.parametrize("relu", ["full", "diag", "none"])
@pytest.mark.parametrize("rank", [RANK, 9], ids=["X Y", "whole block"])
@pytest.mark.parametrize("kind", LAYERS)
def test_the_updated_weight_is_the_dense_rendering(kind: str, rank: int, relu: str) -> None:
    torch.manual_seed(3)
    layer = LAYERS[kind]()
    update = salted(layer, relu, rank)
    assert update.dense == (rank == 9 and relu != "full")
    np.testing.assert_allclose(layer.weight.detach().numpy(), rendered(layer, update, relu), atol=2e-6)


def test_the_three_kinds_of_relu_differ_where_something_is_negative() -> None:
    weights = []
    for relu in ("full", "diag", "none"):
        torch.manual_seed(3)
        layer = nn.Linear(24, 14)
        salted(layer, relu)
        weights.append(layer.weight.detach())
    assert all((one - other).norm() > 0.05 * one.norm() for one, other in pairwise(weights))


def random_update(kind: str, layer: nn.Module) -> SpectralUpdate:
    if kind.startswith("salt"):
        _, relu, std = kind.split()
        return salted(layer, relu, std=float(std))
    layer.requires_grad_(False)
    make = {"svfit": lambda w, p: TopValuesUpdate(w, p, 4), "svft": lambda w, p: BandUpdate(w, p, 2)}[kind]
    attach({"": layer}, lambda _, weight: make(weight, singular_pairs(weight)))
    (update,) = layer.parametrizations.weight
    with torch.no_grad():
        for parameter in update.parameters():
            parameter.normal_()
    return update


@pytest.mark.parametrize(
    "update", ["salt full 0.4", "salt diag 0.4", "salt diag 0.01", "salt none 0.4", "svfit", "svft"]
)
@pytest.mark.parametrize("spared", [0, 100])
@pytest.mark.parametrize("kind", LAYERS)
def test_all_ways_of_a_step_give_the_same_answers_and_gradients(
    kind: str, update: str, spared: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectral, "SPARED", spared)
    torch.manual_seed(4)
    layer = LAYERS[kind]().double()
    made = random_update(update, layer)
    shape = (3, layer.in_features) if isinstance(layer, nn.Linear) else (2, 4, 9, 8)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    original = layer.parametrizations.weight.original
    ways = set(made.costs(10))
    assert ways == {"built", "coordinates"} | ({"side"} if update[:9] in {"salt diag", "salt none"} else set())
    found = {}
    for way in ways:
        answer = made.way(way, layer, original, x)
        if answer is None:
            answer = nn.utils.parametrize.type_before_parametrizations(layer).forward(layer, x)
        found[way] = [answer, *torch.autograd.grad(answer.square().sum(), [x, *made.parameters()])]
    for way in ways - {"built"}:
        for ours, theirs in zip(found[way], found["built"], strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("std", [0.01, 4.0])
@pytest.mark.parametrize("kind", LAYERS)
def test_one_side_is_taken_only_where_nothing_is_cut(kind: str, std: float, monkeypatch: pytest.MonkeyPatch) -> None:
    taken, real = [], SaltUpdate.on_one_side
    monkeypatch.setattr(SaltUpdate, "on_one_side", lambda self: taken.append(1) or real(self))
    torch.manual_seed(4)
    layer = LAYERS[kind]()
    update = salted(layer, "diag", std=std)
    cut = bool(update.cut((update.X @ update.Y).diagonal()).any())
    x = torch.randn((3, layer.in_features) if isinstance(layer, nn.Linear) else (2, 4, 9, 8))
    update.way("side", layer, layer.parametrizations.weight.original, x)
    assert (cut, len(taken)) == ((False, 1) if std == 0.01 else (True, 0))


def test_a_weight_is_not_divided_by_singular_values_where_too_many_digits_are_lost() -> None:
    def ways(weight: torch.Tensor, **options: str) -> set[str]:
        return set(SaltUpdate(weight, singular_pairs(weight), TOP, RANK, **options).costs(10))

    U, _, Vt = torch.linalg.svd(torch.randn(24, 14, dtype=torch.float64), full_matrices=False)
    even, steep, lacking = (
        (U @ torch.diag(torch.linspace(1, last, 14, dtype=torch.float64)) @ Vt).float() for last in (0.01, 1e-4, 0)
    )
    assert "side" in ways(even)
    assert "side" in ways(steep.double())
    assert not any("side" in ways(weight) for weight in (steep, lacking, torch.zeros(24, 14), even.bfloat16()))
    assert "side" not in ways(even, relu="full")
    with torch.autocast("cpu", torch.bfloat16):
        assert "side" not in ways(even)


@pytest.mark.parametrize("shape", [(48, 20), (20, 48)])
def test_on_one_side_four_digits_are_left_of_what_is_added_to_the_steepest_weight(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    U, _, Vt = torch.linalg.svd(torch.randn(shape, dtype=torch.float64), full_matrices=False)
    weight = (U @ torch.diag(torch.logspace(0, -2.9, 20, dtype=torch.float64)) @ Vt).float()
    layer = nn.Linear(*shape[::-1], bias=False)
    layer.weight = nn.Parameter(weight)
    update = salted(layer, "none", std=0.02)
    x = torch.randn(64, shape[1])
    assert "side" in update.costs(64)
    added = update.way("side", layer, weight, x) - x @ weight.T
    expected = x.double() @ (update.left() @ update.Vt).double().T
    assert (added - expected).norm() < 1e-4 * expected.norm()


def test_on_one_side_an_update_that_was_not_trained_answers_bit_by_bit_as_the_base() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(14, 24)
    x = torch.randn(5, 14)
    expected = layer(x)
    attach({"": layer}, lambda _, weight: SaltUpdate(weight, singular_pairs(weight), TOP, RANK))
    (update,) = layer.parametrizations.weight
    assert torch.equal(update.way("side", layer, layer.parametrizations.weight.original, x), expected)


def test_the_way_is_chosen_by_the_number_of_tokens() -> None:
    """A square layer is built from about twice its width on; one of 768 to 3072 never, whatever its residual's rank.

    Of few top values and a low rank it is the inputs that are changed, unless there are too few to make factors for.
    """
    square = SaltUpdate(torch.randn(64, 64), singular_pairs(torch.randn(64, 64)), 60, 2)
    chosen = {n: min(square.costs(n), key=square.costs(n).get) for n in (2, 100, 200, 5000)}
    assert chosen == {2: "coordinates", 100: "coordinates", 200: "built", 5000: "built"}
    for top, rank in ((760, 8), (50, 8), (50, 256)):
        weight = torch.empty(3072, 768, device="meta")
        oblong = SaltUpdate(weight, singular_pairs(weight), top, rank)
        assert all(min(oblong.costs(n), key=oblong.costs(n).get) != "built" for n in (2, 400, 10**5))
    weight = torch.randn(256, 64)
    for top, rank, expected in ((4, 2, "side"), (54, 2, "coordinates")):
        oblong = SaltUpdate(weight, singular_pairs(weight), top, rank)
        assert [min(oblong.costs(n), key=oblong.costs(n).get) for n in (2, 400)] == ["coordinates", expected]


def test_a_value_that_the_relu_holds_at_zero_comes_back_only_where_the_formula_lets_it() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(6, 6)
    update = salted(layer, "diag", std=0.0)
    layer(torch.randn(4, 6)).sum().backward()
    clipped = (update.s[:TOP] * (1 + update.scale) + update.shift)[[0, TOP - 1]]
    assert (clipped < 0).all()
    assert not update.shift.grad[[0, TOP - 1]].any()
    assert update.shift.grad[1 : TOP - 1].all()


def attached_params(update: object, *weights: tuple[int, ...]) -> int:
    made = [update("", torch.empty(shape, device="meta")) for shape in weights]
    return sum(parameter.numel() for each in made for parameter in each.parameters())


ATTENTION, MLP = ((2304, 768), (768, 768)), ((3072, 768), (768, 3072))
NECK = ((256, 768, 1, 1), (256, 256, 3, 3))


def test_trainable_counts_are_those_of_the_official_layers_on_sam_b() -> None:
    """Measured with the official modules: twelve blocks of a ViT-B, ranks 760 and 50 of attention and MLP."""

    def salt(rank: int, attention: int = 760, mlp: int = 50) -> int:
        each = [
            (SALT(top=attention, rank=rank, init="paper"), ATTENTION),
            (SALT(top=mlp, rank=rank, init="paper"), MLP),
        ]
        return 12 * sum(attached_params(method.update, *shapes) for method, shapes in each)

    def lora(rank: int) -> int:
        def update(name: str, weight: torch.Tensor) -> LowRankUpdate:
            return LowRankUpdate(weight, rank, 1.0)

        return 12 * attached_params(update, *ATTENTION, *MLP) + attached_params(update, *NECK)

    assert (salt(4), salt(256)) == (178_272, 8_959_968)
    # Against the row above: 9,919,712 all in all, of which 8,959,968 in layers.
    assert salt(256, 700, 200) - salt(256) == 8_818_112 - 9_919_712
    assert salt(256, 500, 500) - salt(256) == 7_594_112 - 9_919_712
    neck = attached_params(SALT(top=250, rank=256, init="paper").update, *NECK)
    assert neck == 9_926_856 - 9_919_712
    assert 12 * attached_params(SSAM().update, *ATTENTION, *MLP) == 73_728
    assert (lora(4), lora(256)) == (604_160, 38_666_240)


def test_a_rank_beyond_half_of_the_residual_is_one_matrix_and_costs_no_more() -> None:
    capped, paper = (
        attached_params(SALT(top=760, rank=256, init=init).update, *ATTENTION) for init in ("identity", "paper")
    )
    assert paper - capped == 2 * (4096 - 64)
    assert attached_params(SALT(top=1.0, rank=8).update, (20, 30)) == 2 * 20
    assert attached_params(SALT(top=5000, rank=8).update, (20, 30)) == 2 * 20


def test_a_block_that_all_passes_a_relu_trains_beside_its_diagonal_at_any_rank() -> None:
    torch.manual_seed(0)
    weight = torch.randn(12, 12)
    update, target = SALT(top=8, rank=4, relu="full").update("", weight), weight + 0.3 * torch.randn(12, 12)
    optimiser = torch.optim.Adam(update.parameters(), lr=0.05)
    for _ in range(5):
        optimiser.zero_grad()
        (update(weight) - target).square().sum().backward()
        optimiser.step()
    beside = update.residual()[~torch.eye(4, dtype=torch.bool)]
    assert beside.count_nonzero() > 0


def test_the_published_start_is_not_the_base() -> None:
    torch.manual_seed(0)
    weight = torch.randn(40, 40)
    for relu in ("full", "diag", "none"):
        start = SALT(top=0.5, rank=8, relu=relu, init="paper").update("", weight)(weight)
        assert 1e-5 < (start - weight).norm() / weight.norm() < 0.05


def test_singular_pairs_are_read_from_disk_and_copies_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spectrum, "_KEPT", {})
    monkeypatch.setattr(spectrum, "WORTH_A_FILE", 100)
    weight, calls, real = torch.randn(12, 10), [], spectrum.thin_svd
    monkeypatch.setattr(spectrum, "thin_svd", lambda matrix: calls.append(1) or real(matrix))
    first = singular_pairs(weight, tmp_path / "pairs")
    first.U.zero_()
    second = singular_pairs(weight, tmp_path / "pairs")
    torch.testing.assert_close(second.U @ torch.diag(second.s) @ second.Vt, weight)
    assert len(calls) == 1
    spectrum._KEPT.clear()
    third = singular_pairs(weight.clone(), tmp_path / "pairs")
    assert torch.equal(third.U, second.U)
    assert len(calls) == 1
    singular_pairs(weight + 1, tmp_path / "pairs")
    singular_pairs(weight[:3], tmp_path / "pairs")
    assert len(calls) == 3
    (kept, other) = sorted((tmp_path / "pairs").iterdir())
    for path in (kept, other):
        path.write_bytes(b"cut off")
    spectrum._KEPT.clear()
    torch.testing.assert_close(singular_pairs(weight, tmp_path / "pairs").s, second.s)
    assert len(calls) == 4


def test_the_pairs_in_memory_stay_below_their_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spectrum, "_KEPT", {})
    monkeypatch.setattr(spectrum, "KEPT_BYTES", 3 * 4 * (64 + 8 + 64))
    for _ in range(6):
        singular_pairs(torch.randn(8, 8))
    assert len(spectrum._KEPT) == 3


def test_a_weight_that_diverged_has_no_pairs() -> None:
    with pytest.raises(BenchmarkError, match="NaN or infinity"):
        singular_pairs(torch.tensor([[1.0, float("nan")]]))


def test_a_convolution_with_groups_is_no_matrix_on_patches() -> None:
    layer = nn.Conv2d(8, 8, 3, groups=2)
    assert not acts_on_patches(layer)
    assert acts_on_patches(nn.Conv2d(8, 8, 3, stride=2))
