"""Adapters against the peft library, where it is installed: the same function of the same numbers, and as many of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks.models.lowrank.fourier import FourierUpdate, SparseUpdate
from benchmarks.models.lowrank.principal import OrthonormalUpdate
from benchmarks.models.lowrank.products import HadamardUpdate, KroneckerUpdate
from benchmarks.models.lowrank.random_bases import RandomBasesUpdate, RandomProjectionUpdate
from benchmarks.models.lowrank.rotation import RotationUpdate
from benchmarks.models.lowrank.shards import ShardUpdate
from benchmarks.models.lowrank.triplets import TripletUpdate
from benchmarks.models.lowrank.update import Update, attach
from benchmarks.models.lowrank.wavelet import SparseWaveletUpdate

IN, OUT, RANK, ALPHA = 12, 10, 3, 6.0
peft = pytest.importorskip("peft", reason="peft is an oracle here and no dependency: pip install peft")


def low_rank(update: Any, layer: Any) -> None:
    update.up.copy_(layer.lora_B["default"].weight)
    update.down.copy_(layer.lora_A["default"].weight)


def triplets(update: Any, layer: Any) -> None:
    update.up.copy_(layer.lora_B["default"])
    update.down.copy_(layer.lora_A["default"])
    update.values.copy_(layer.lora_E["default"][:, 0])


def projections(update: Any, layer: Any) -> None:
    update.A.copy_(layer.vera_A["default"])
    update.B.copy_(layer.vera_B["default"])
    update.b.copy_(layer.vera_lambda_b["default"])
    update.d.copy_(layer.vera_lambda_d["default"])


def bases(update: Any, layer: Any) -> None:
    update.A.copy_(layer.randlora_A["default"][:, 0])
    # Their rows of A go through the bases of a direction, and meet columns of B in the order in which these lie.
    update.B.copy_(layer.randlora_B["default"].flatten(1).unflatten(1, (RANK, -1)).transpose(1, 2).flatten(1))
    update.lambdas.copy_(layer.randlora_lambda["default"].T)
    update.gammas.copy_(layer.randlora_gamma["default"])


def hadamard(update: Any, layer: Any) -> None:
    for half in "12":
        getattr(update, f"up_{half}").copy_(getattr(layer, f"hada_w{half}_a")["default"])
        getattr(update, f"down_{half}").copy_(getattr(layer, f"hada_w{half}_b")["default"].flatten(1))


def kronecker(update: Any, layer: Any) -> None:
    update.C.copy_(layer.lokr_w1["default"])
    if "default" in layer.lokr_w2:
        update.block.copy_(layer.lokr_w2["default"].flatten(1))
    else:
        update.up.copy_(layer.lokr_w2_a["default"])
        update.down.copy_(layer.lokr_w2_b["default"].flatten(1))


def rotation(update: Any, layer: Any) -> None:
    # Theirs turns rows x by (I - S)(I + S)^-1, so that the weight sees the transpose, (I + S)(I - S)^-1.
    update.angles.copy_(layer.oft_R["default"].weight)


def fourier(update: SparseUpdate, layer: Any) -> None:
    rows, columns = layer.indices["default"]
    update.places.copy_(rows * IN + columns)
    update.values.copy_(layer.fourierft_spectrum["default"])


def wavelet(update: SparseUpdate, layer: Any) -> None:
    rows, columns = layer.waveft_indices["default"]
    down, right = rows >= OUT // 2, columns >= IN // 2
    # Theirs has the details along the columns of W at the lower left, ours, as S_o^T C S_i, at the upper right.
    update.places.copy_((rows % (OUT // 2) + right * (OUT // 2)) * IN + columns % (IN // 2) + down * (IN // 2))
    update.values.copy_(layer.waveft_spectrum["default"])


def shard(update: Any, layer: Any) -> None:
    update.shard.copy_(layer.miss_block["default"].T)


CASES: dict[str, tuple[Callable[[], Any], Callable[[torch.Tensor], Update], Callable[[Any, Any], None]]] = {
    "olora": (
        lambda: peft.LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="olora", target_modules=["0"]),
        lambda w: OrthonormalUpdate(w, RANK),
        low_rank,
    ),
    "adalora": (
        lambda: peft.AdaLoraConfig(init_r=RANK, target_r=RANK, total_step=9, lora_alpha=ALPHA, target_modules=["0"]),
        lambda w: TripletUpdate(w, RANK, ALPHA / RANK),
        triplets,
    ),
    "vera": (
        lambda: peft.VeraConfig(r=RANK, target_modules=["0"]),
        lambda w: RandomProjectionUpdate(w, RANK),
        projections,
    ),
    "randlora": (
        lambda: peft.RandLoraConfig(r=RANK, randlora_alpha=ALPHA, target_modules=["0"]),
        lambda w: RandomBasesUpdate(w, -(-min(w.shape) // RANK), ALPHA / RANK),
        bases,
    ),
    "loha": (
        lambda: peft.LoHaConfig(r=RANK, alpha=ALPHA, target_modules=["0"]),
        lambda w: HadamardUpdate(w, RANK, ALPHA / RANK),
        hadamard,
    ),
    "lokr": (
        lambda: peft.LoKrConfig(r=1, alpha=ALPHA, target_modules=["0"]),
        lambda w: KroneckerUpdate(w, 1, ALPHA),
        kronecker,
    ),
    "lokr, whole": (
        lambda: peft.LoKrConfig(r=RANK, alpha=ALPHA, target_modules=["0"]),
        lambda w: KroneckerUpdate(w, RANK, ALPHA / RANK),
        kronecker,
    ),
    "oft": (
        lambda: peft.OFTConfig(r=0, oft_block_size=4, use_cayley_neumann=False, target_modules=["0"]),
        lambda w: RotationUpdate(w, 4),
        rotation,
    ),
    "fourierft": (
        lambda: peft.FourierFTConfig(n_frequency=9, scaling=50.0, target_modules=["0"]),
        lambda w: FourierUpdate(w, 9, 50.0),
        fourier,
    ),
    "waveft": (
        lambda: peft.WaveFTConfig(n_frequency=9, scaling=2.0, target_modules=["0"]),
        lambda w: SparseWaveletUpdate(w, 9, 2.0),
        wavelet,
    ),
    "miss": (lambda: peft.MissConfig(r=RANK, target_modules=["0"]), lambda w: ShardUpdate(w, RANK), shard),
}


@pytest.mark.parametrize("kind", CASES)
def test_the_peft_library_answers_the_same_of_as_many_numbers(kind: str) -> None:
    configure, make, copy = CASES[kind]
    torch.manual_seed(0)
    base, ours = nn.Sequential(nn.Linear(IN, OUT)), nn.Linear(IN, OUT)
    ours.load_state_dict(base[0].state_dict())
    ours.requires_grad_(False)
    attach({"": ours}, lambda _, weight: make(weight))
    (update,) = ours.parametrizations.weight
    theirs = peft.get_peft_model(base, configure())
    layer = theirs.base_model.model[0]
    trained = {name: value for name, value in theirs.named_parameters() if value.requires_grad}
    assert sum(value.numel() for value in update.parameters()) == sum(value.numel() for value in trained.values())
    x = torch.randn(4, IN)
    with torch.no_grad():
        if kind == "olora":  # it starts from the weight, up to signs
            product = update.up @ update.down
            torch.testing.assert_close(layer.lora_B["default"].weight @ layer.lora_A["default"].weight, product)
        for value in trained.values():
            value.normal_(std=0.4)
        copy(update, layer)
        answer = theirs(x)
        assert (answer - base[0].base_layer(x) if kind != "olora" else answer).abs().max() > 1e-2
        torch.testing.assert_close(ours(x), answer, atol=1e-5, rtol=1e-4)
