"""What trains without an adapter, or beside one: the head, the norms, and the counts of the sheet's rows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt
from benchmarks.methods.head import Head
from benchmarks.methods.lora import LoRA
from benchmarks.methods.norms import Norms
from benchmarks.methods.ssam import SSAM
from benchmarks.models.medseg.build import build
from benchmarks.runner import load_method
from benchmarks.spec import RunSpec

HEAD, NORMS = 75_265, 7_424


def trained(method: Adapt) -> dict[str, int]:
    with torch.device("meta"):
        network = build("litemedsam")
    attached = method.attached(network, None)
    return {name: value.numel() for name, value in attached.named_parameters() if value.requires_grad}


@pytest.mark.parametrize(
    ("method", "beside"),
    [
        (Head(), 0),
        (Norms(), NORMS),
        (LoRA(rank=8), 237_568),
        (LoRA(rank=8, vectors="norms"), 237_568 + NORMS),
        (LoRA(rank=1, vectors="norms"), 29_696 + NORMS),
        (SSAM(vectors="norms"), 22_272),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Adapt) else "",
)
def test_counts_are_those_of_the_protocol_that_learns(method: Adapt, beside: int) -> None:
    assert sum(trained(method).values()) == HEAD + beside


def test_the_norms_of_the_body_are_twenty_and_those_of_neck_and_decoder_stay() -> None:
    found = trained(Norms())
    body = [name for name in found if not name.startswith("head.")]
    assert len({name.rpartition(".")[0] for name in body}) == 20
    assert all(name.rpartition(".")[2] in ("weight", "bias") for name in body)
    assert sum(found[name] for name in body) == NORMS


def test_group_norms_train_and_batch_norms_and_biases_stay() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.LayerNorm(5))
    network.keep_dense = ("3",)
    Norms().freeze(network)
    assert {name for name, value in network.named_parameters() if value.requires_grad} == {"2.weight", "2.bias"}


def test_a_network_that_has_none_says_what_to_type() -> None:
    unet = build("small_unet")
    with pytest.raises(BenchmarkError, match=r"names no head .*SmallUNet\. Type method=bias_norm"):
        Head().freeze(unet)
    for freeze in (Norms().freeze, lambda network: LoRA(vectors="norms").adapt(network, None)):
        with pytest.raises(BenchmarkError, match=r"no layer or group norms .*SmallUNet\. .*method\.vectors=false"):
            freeze(unet)
    bare = nn.Sequential(nn.LayerNorm(5, elementwise_affine=False), nn.Linear(5, 5))
    with pytest.raises(BenchmarkError, match="no layer or group norms"):
        Norms().freeze(bare)


def test_vectors_are_all_of_them_the_norms_or_none() -> None:
    runs = {
        word: RunSpec.of(["task=medseg", "method=lora", f"method.vectors={word}"])
        for word in ("false", "true", "norms")
    }
    assert {word: load_method(run).vectors for word, run in runs.items()} == {
        "false": False,
        "true": True,
        "norms": "norms",
    }
    assert len({run.config_hash for run in runs.values()}) == 3
    assert runs["false"].config_hash == RunSpec.of(["task=medseg", "method=lora"]).config_hash
    with pytest.raises(BenchmarkError, match=r"method\.vectors=nroms"):
        load_method(RunSpec.of(["task=medseg", "method=lora", "method.vectors=nroms"]))
