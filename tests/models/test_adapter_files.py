"""What an adapter of a restoration network trained, as a file: its bytes, its base, and the merged network's answers."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt
from benchmarks.methods.bias_norm import BiasNorm
from benchmarks.methods.colora import CoLoRA
from benchmarks.methods.decoder_only import DecoderOnly
from benchmarks.methods.dora import DoRA
from benchmarks.methods.iss_delta import ISSDelta
from benchmarks.methods.lora import LoRA
from benchmarks.methods.small import Small
from benchmarks.methods.ssf import SSF
from benchmarks.models.lowrank.adapter_file import Adapter, adapter_of, buffers_of, fingerprint
from benchmarks.models.size import unique_parameters
from small_unet import ALLOCATIONS, SHARE, adapted, batch, train, trainable, unet

METHODS: dict[str, Adapt] = {
    **{f"colora {rule}": CoLoRA(share=SHARE, allocation=rule) for rule in ALLOCATIONS},
    "lora": LoRA(rank=2),
    "ssf": SSF(),
    "small": Small(),
    "bias_norm": BiasNorm(),
    "decoder_only": DecoderOnly(),
    "iss_delta": ISSDelta(share=SHARE),
}


def with_adapter(method: Adapt, steps: int = 3) -> tuple[nn.Module, Adapter, nn.Module]:
    """A trained network before it is merged, its adapter, and the base."""
    base = unet()
    started, buffers = fingerprint(base), buffers_of(base)
    network = train(adapted(method, copy.deepcopy(base)), steps)
    made = adapter_of(network, started, buffers, getattr(network, "adapted", {}))
    assert made is not None
    return network, made, base


@pytest.mark.parametrize("name", METHODS)
def test_a_network_starts_as_its_base_and_what_is_frozen_keeps_every_byte(name: str) -> None:
    network, base = adapted(METHODS[name]), unet()
    x = batch()["image"]
    with torch.no_grad():
        assert torch.equal(network.eval()(x), base(x))
    torch.testing.assert_close(network.train()(x), base(x))
    before, trains = {key: value.clone() for key, value in network.state_dict().items()}, trainable(network)
    train(network)
    after = network.state_dict()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved <= trains.keys() | {key for key in before if key.endswith((".mask", ".hard"))}
    assert moved >= trains.keys() - {key for key in trains if key.endswith(".down")}


@pytest.mark.parametrize("name", METHODS)
def test_a_merged_network_and_a_loaded_adapter_answer_as_the_trained_one(name: str, tmp_path: Path) -> None:
    network, made, base = with_adapter(METHODS[name])
    x = batch(5)["image"]
    expected = network(x).detach()
    assert not torch.allclose(expected, base(x), atol=1e-3)
    made.save(tmp_path / "adapter.safetensors")
    loaded = Adapter.load(tmp_path / "adapter.safetensors").apply(base)
    merged = METHODS[name].merged(network)
    assert merged.state_dict().keys() == base.state_dict().keys()
    torch.testing.assert_close(merged(x), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(loaded(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_an_adapter_fits_a_base_in_another_memory_format(name: str) -> None:
    _, made, base = with_adapter(METHODS[name], steps=1)
    x = batch(5)["image"]
    other = made.apply(copy.deepcopy(base).to(memory_format=torch.channels_last))
    torch.testing.assert_close(other(x), made.apply(base)(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_a_file_holds_four_bytes_for_each_trained_number_and_a_header(name: str, tmp_path: Path) -> None:
    network, made, _ = with_adapter(METHODS[name])
    path = tmp_path / "adapter.safetensors"
    made.save(path)
    header = int.from_bytes(path.read_bytes()[:8], "little") + 8
    count = unique_parameters(network, trainable=True)
    if name == "iss_delta":
        left = sum(int((module.delta * module.largest()).count_nonzero()) for module in shrunk(network))
        places = 4 * left
        count += left - sum(module.delta.numel() for module in shrunk(network))
        assert count <= network.adapted["trained"]
    else:
        places = 0
    assert path.stat().st_size == 4 * count + places + header
    assert Adapter.load(path).made == getattr(network, "adapted", {})


def shrunk(network: nn.Module) -> list[Any]:
    return [module for module in network.modules() if hasattr(module, "after_step")]


def test_an_adapter_of_another_base_is_refused_and_leaves_it_alone(tmp_path: Path) -> None:
    _, made, _ = with_adapter(CoLoRA(share=SHARE, allocation="uniform"))
    other = unet(seed=3)
    before = fingerprint(other)
    with pytest.raises(BenchmarkError, match=r"another base: .*sha256 [0-9a-f]{12}\.\.\., the one here has"):
        made.apply(other)
    assert fingerprint(other) == before


def test_a_file_that_is_no_adapter_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(unet().state_dict(), path)
    with pytest.raises(BenchmarkError, match=r"holds no adapter of this suite .*Type: python -m benchmarks export"):
        Adapter.load(path)
    path.write_bytes(b"nothing")
    with pytest.raises(BenchmarkError, match="is no adapter"):
        Adapter.load(path)
    with pytest.raises(BenchmarkError, match="is no adapter"):
        Adapter.load(tmp_path / "missing.safetensors")


def test_updates_of_other_forms_are_kept_in_no_file() -> None:
    base = unet()
    network = train(adapted(DoRA(rank=2), copy.deepcopy(base)))
    assert adapter_of(network, fingerprint(base), buffers_of(base), {}) is None


def test_statistics_of_batch_norms_go_with_an_adapter(tmp_path: Path) -> None:
    torch.manual_seed(0)
    base = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)).eval()
    started, buffers = fingerprint(base), buffers_of(base)
    network = train(adapted(BiasNorm(), copy.deepcopy(base)))
    made = adapter_of(network, started, buffers, {})
    assert made is not None
    assert {"1.running_mean", "1.running_var", "1.num_batches_tracked"} < made.tensors.keys()
    made.save(tmp_path / "a.safetensors")
    x = batch()["image"]
    assert torch.equal(Adapter.load(tmp_path / "a.safetensors").apply(base)(x), network(x))
