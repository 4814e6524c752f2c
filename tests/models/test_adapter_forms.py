"""Adapters against what their papers define, written out, and against the peft library where it is installed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.models.lowrank.magnitude import MagnitudeUpdate
from benchmarks.models.lowrank.principal import PrincipalUpdate
from benchmarks.models.lowrank.spectral import BandUpdate
from benchmarks.models.lowrank.spectrum import singular_pairs
from benchmarks.models.lowrank.triangular import TriangularUpdate
from benchmarks.models.lowrank.tucker import TuckerUpdate
from benchmarks.models.lowrank.update import LowRankUpdate, attach


@pytest.fixture
def weight() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(9, 7)


def test_dora_gives_each_row_its_magnitude_and_detaches_the_norm(weight: torch.Tensor) -> None:
    update = MagnitudeUpdate(weight, 2, 1.5)
    with torch.no_grad():
        update.up.normal_()
        update.magnitude.copy_(torch.linspace(0.5, 2, 9))
    made = update(weight)
    torch.testing.assert_close(made.norm(dim=1), update.magnitude)
    made.sum().backward()
    # d/dV of m V / c at a fixed c is m / c, whatever V is.
    ratio = update.magnitude / (weight + 1.5 * update.up @ update.down).norm(dim=1)
    expected = 1.5 * ratio[:, None] * update.down.sum(1)
    torch.testing.assert_close(update.up.grad, expected.detach())


def test_dora_leaves_a_row_of_zeros_finite(weight: torch.Tensor) -> None:
    weight[3] = 0
    update = MagnitudeUpdate(weight, 2, 1.0)
    assert torch.equal(update(weight), weight)
    update(weight).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in update.parameters())


def test_dora_moves_a_row_of_zeros_by_what_its_update_is(weight: torch.Tensor) -> None:
    weight[3] = 0
    update = MagnitudeUpdate(weight, 2, 1.0)
    with torch.no_grad():
        update.up[3] = 1e-6
    torch.testing.assert_close(update(weight)[3], update.up[3] @ update.down)


def test_pissa_splits_the_spectrum(weight: torch.Tensor) -> None:
    update = PrincipalUpdate(weight, singular_pairs(weight), 3)
    U, s, Vt = torch.linalg.svd(weight)
    torch.testing.assert_close(update.up @ update.down, U[:, :3] @ torch.diag(s[:3]) @ Vt[:3])
    torch.testing.assert_close(update.up.norm(dim=0), update.down.norm(dim=1))
    with torch.no_grad():
        update.up.zero_()
    torch.testing.assert_close(torch.linalg.svdvals(update(weight))[:4], s[3:7])


def test_loldu_keeps_triangular_factors_and_moves_pivots(weight: torch.Tensor) -> None:
    update = TriangularUpdate(weight, 7)
    torch.testing.assert_close(update.lower @ torch.diag(update.pivots) @ update.upper, weight)
    torch.testing.assert_close(update.upper.diagonal(), torch.ones(7))
    assert not update.upper.tril(-1).any()
    with torch.no_grad():
        update.scale.copy_(torch.tensor(2.0))
        update.diagonal[2] = 0
    P, L, U = torch.linalg.lu(weight)
    D = U.diagonal().clone()
    U = U / D[:, None]
    D[2] = 0
    torch.testing.assert_close(update(weight), P @ L @ torch.diag(2 * D) @ U)


def test_loldu_bears_a_weight_without_full_rank() -> None:
    weight = torch.zeros(4, 5)
    weight[0, 1] = 2
    update = TriangularUpdate(weight, 4)
    assert torch.equal(update(weight), weight)
    assert all(value.isfinite().all() for value in update.state_dict().values())


@pytest.mark.parametrize(("shape", "equation"), [((9, 7), "ab,xa,yb->xy"), ((9, 7, 3, 2), "abcd,xa,yb,zc,wd->xyzw")])
def test_flora_is_a_tucker_product(shape: tuple[int, ...], equation: str) -> None:
    torch.manual_seed(0)
    weight = torch.randn(shape)
    update = TuckerUpdate(weight, 3, 0.5)
    assert update.core.shape == tuple(min(3, n) for n in shape)
    with torch.no_grad():
        update.core.normal_()
    product = torch.einsum(equation, update.core, *update.factors)
    torch.testing.assert_close(update(weight), weight + 0.5 * product)


@pytest.mark.parametrize("band", [0, 1, 50])
def test_svft_adds_a_band(weight: torch.Tensor, band: int) -> None:
    pairs = singular_pairs(weight)
    update = BandUpdate(weight, pairs, band)
    with torch.no_grad():
        for diagonal in update.diagonals:
            diagonal.normal_()
    core = pairs.U.T @ (update(weight) - weight).detach() @ pairs.Vt.T
    distance = (torch.arange(7)[:, None] - torch.arange(7)).abs()
    assert (core[distance <= band].abs() > 1e-3).all()
    assert (core[distance > band].abs() < 1e-5).all()
    assert sum(diagonal.numel() for diagonal in update.diagonals) == int((distance <= band).sum())


@pytest.mark.parametrize("kind", ["lora", "rslora", "dora", "pissa"])
@pytest.mark.parametrize("convolution", [False, True], ids=["linear", "convolution"])
def test_the_peft_library_answers_the_same(kind: str, convolution: bool) -> None:
    peft = pytest.importorskip("peft", reason="peft is an oracle here and no dependency: pip install peft")
    if kind == "pissa" and convolution:
        pytest.skip("peft has PiSSA for linear layers alone")
    torch.manual_seed(0)
    base = nn.Sequential(nn.Conv2d(4, 10, 3, stride=2, padding=1) if convolution else nn.Linear(12, 10))
    x = torch.randn(3, 4, 8, 8) if convolution else torch.randn(3, 12)
    rank, alpha = 4, 4 if kind == "pissa" else 6
    weight = base[0].weight.detach().clone()
    ours: nn.Module = type(base[0])(4, 10, 3, stride=2, padding=1) if convolution else nn.Linear(12, 10)
    ours.load_state_dict(base[0].state_dict())
    config = peft.LoraConfig(
        r=rank, lora_alpha=alpha, target_modules=["0"], use_rslora=kind == "rslora", use_dora=kind == "dora",
        init_lora_weights="pissa" if kind == "pissa" else True,
    )  # fmt: skip
    theirs = peft.get_peft_model(base, config)
    scale = alpha / rank**0.5 if kind == "rslora" else alpha / rank
    kinds = {
        "dora": lambda _, w: MagnitudeUpdate(w, rank, scale),
        "pissa": lambda _, w: PrincipalUpdate(w, singular_pairs(w), rank),
    }
    attach({"": ours}, kinds.get(kind, lambda _, w: LowRankUpdate(w, rank, scale)))
    (update,) = ours.parametrizations.weight
    parameters = {name: value for name, value in theirs.named_parameters() if "lora_" in name}
    down, up = (next(v for n, v in parameters.items() if f"lora_{letter}" in n) for letter in "AB")
    if kind == "pissa":  # equal up to the signs of the pairs, so the products are compared
        torch.testing.assert_close(up @ down, update.up @ update.down, atol=1e-5, rtol=1e-4)
        rest = theirs.base_model.model[0].base_layer.weight
        torch.testing.assert_close(rest, weight - (update.up @ update.down).detach(), atol=1e-5, rtol=1e-4)
    with torch.no_grad():
        down.normal_(std=0.3)
        up.normal_(std=0.3)
        update.down.copy_(down.flatten(1))
        update.up.copy_(up.flatten(1))
    torch.testing.assert_close(ours.train()(x), theirs(x), atol=1e-5, rtol=1e-4)
