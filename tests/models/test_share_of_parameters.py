"""Adapters that spend a share of a restoration network's parameters: CoLoRA, its rivals, and the file of what they trained."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from benchmarks.datasets.bundle import Split, TrainingData
from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt, Objective
from benchmarks.methods.bias_norm import BiasNorm
from benchmarks.methods.colora import CoLoRA, kinds_of
from benchmarks.methods.decoder_only import DecoderOnly
from benchmarks.methods.dora import DoRA
from benchmarks.methods.iss_delta import ISSDelta
from benchmarks.methods.lora import LoRA
from benchmarks.methods.small import Small, small_parameters
from benchmarks.methods.spend import spending
from benchmarks.methods.ssf import SSF
from benchmarks.models.lowrank.adapter_file import Adapter, adapter_of, buffers_of, fingerprint
from benchmarks.models.lowrank.rank_plan import DENSE
from benchmarks.models.size import unique_parameters
from benchmarks.task import Batch

ALLOCATIONS = get_args(CoLoRA.__annotations__["allocation"]) or (
    "contribution", "uniform", "size", "change", "gradient", "random", "reversed",
)  # fmt: skip
SHARE = 0.4


class Block(nn.Module):
    """A block like NAFNet's: 1 x 1, depthwise 3 x 3, a gate, 1 x 1, and step sizes in the shape of images."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, channels)
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.spatial = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)
        self.project = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.full((1, channels, 1, 1), 0.5))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.spatial(self.expand(self.norm(x))).chunk(2, 1)
        return x + self.beta * self.project(a * b)


class SmallUNet(nn.Module):
    """A residual U-net of one level with every kind of layer that NAFNet has."""

    decoder_parameters = ("decoder.*", "up.*", "ending.*")

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.intro = nn.Conv2d(3, width, 3, padding=1)
        self.encoder = Block(width)
        self.down = nn.Conv2d(width, 2 * width, 2, stride=2)
        self.middle = Block(2 * width)
        self.up = nn.Sequential(nn.Conv2d(2 * width, 4 * width, 1, bias=False), nn.PixelShuffle(2))
        self.decoder = Block(width)
        self.ending = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.encoder(self.intro(x))
        return x + self.ending(self.decoder(skip + self.up(self.middle(self.down(skip)))))


LAYERS = [
    "intro", "encoder.expand", "encoder.project", "down", "middle.expand", "middle.project", "up.0", "decoder.expand",
    "decoder.project", "ending",
]  # fmt: skip


def unet(seed: int = 0) -> SmallUNet:
    torch.manual_seed(seed)
    return SmallUNet().eval()


def batch(seed: int = 0, n: int = 4, side: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    clean = torch.rand(n, 3, side, side, generator=generator)
    return {"image": clean + 0.1 * torch.randn(clean.shape, generator=generator), "clean": clean}


def loss(network: nn.Module, given: Batch) -> Tensor:
    return (network(given["image"]) - given["clean"]).square().mean()


def train(network: nn.Module, steps: int = 3, rate: float = 0.02) -> nn.Module:
    trains = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trains, rate, weight_decay=0.1)
    network.train()
    for step in range(steps):
        optimizer.zero_grad()
        loss(network, batch(step)).backward()
        optimizer.step()
        for module in network.modules():
            if hasattr(module, "after_step"):
                module.after_step((step + 1) / steps)
    return network.eval()


class Bench:
    """What CoLoRA sees of a workbench; `fit` takes as many steps as it is asked for."""

    device, finetunes, seed = torch.device("cpu"), True, 0

    def __init__(self, samples: int = 12, epochs: int = 1, accumulate: int = 1) -> None:
        columns = {name: value.numpy() for name, value in batch(9, samples).items()}
        split = Split(columns, np.arange(samples), np.arange(samples))
        self.task, self.data = SimpleNamespace(loss=loss), TrainingData(split, None, {})  # type: ignore[arg-type]
        self.epochs, self.accumulate, self.notes, self.asked = epochs, accumulate, [], []

    def plan(self, stage: str = "train") -> dict[str, Any]:
        assert stage == "finetune"
        return {
            "batch_size": 4,
            "accumulate": self.accumulate,
            "max_epochs": self.epochs,
            "schedule": "cosine",
            "learning_rate": 1e-2,
        }

    def fit(self, network: nn.Module, stage: str, objective: Objective) -> None:
        self.asked.append((stage, dict(objective.plan)))
        torch.manual_seed(77)
        torch.rand(5)  # training draws
        train(network, min(10, objective.plan["max_steps"]), 0.01)

    def note(self, text: str) -> None:
        self.notes.append(text)


def adapted(method: Adapt, network: nn.Module | None = None, bench: Bench | None = None) -> nn.Module:
    return method.attached(network or unet(), bench or Bench())  # type: ignore[arg-type]


def trainable(network: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in network.named_parameters() if p.requires_grad}


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


@pytest.mark.parametrize("allocation", ALLOCATIONS)
@pytest.mark.parametrize("share", [0.35, 0.4, 0.7])
def test_the_share_is_met_within_one_rank_of_the_cheapest_layer(allocation: str, share: float) -> None:
    bench = Bench()
    network = adapted(CoLoRA(share=share, allocation=allocation), bench=bench)
    total, trained = unique_parameters(unet()), unique_parameters(network, trainable=True)
    plan = network.adapted["plan"]
    assert list(plan) == LAYERS
    growing = [name for name, rank in plan.items() if rank != DENSE]
    weights = dict(unet().named_parameters())
    cheapest = min(len(weights[f"{name}.weight"]) + weights[f"{name}.weight"][0].numel() for name in growing)
    assert 0 <= int(share * total) - trained < cheapest
    assert network.adapted["trained"] == trained
    assert f"{trained:,} parameters train" in bench.notes[-1]
    assert json.loads(json.dumps(network.adapted)) == network.adapted


def test_plans_follow_their_scores() -> None:
    found = {rule: adapted(CoLoRA(share=SHARE, allocation=rule)).adapted for rule in ALLOCATIONS}
    plans = [json.dumps(each["plan"]) for each in found.values()]
    assert len(set(plans)) == len(ALLOCATIONS)
    scores = found["contribution"]["scores"]
    order = sorted(LAYERS, key=scores.__getitem__)
    assert sorted(LAYERS, key=found["reversed"]["scores"].__getitem__) == order[::-1]
    other = Bench()
    other.seed = 1
    assert adapted(CoLoRA(share=SHARE, allocation="random"), bench=other).adapted != found["random"]


def test_all_allocations_begin_with_the_same_draws_whatever_the_probe_has_drawn() -> None:
    one, two = (
        {
            name: p
            for name, p in adapted(CoLoRA(share=SHARE, allocation=rule)).named_parameters()
            if name.endswith(".down")
        }
        for rule in ("contribution", "uniform")
    )
    both = one.keys() & two.keys()
    assert len(both) > 3
    for name in both:
        rank = min(len(one[name]), len(two[name]))
        assert torch.equal(one[name][:rank], two[name][:rank])
    assert any(len(one[name]) != len(two[name]) for name in both)


def test_updates_begin_at_zero_with_rows_of_unit_length_in_the_mean() -> None:
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Conv2d(64, 256, 3, bias=False))
    network = adapted(CoLoRA(share=0.2, allocation="uniform", floor=1), wide)
    update = network[0].parametrizations.weight[0]
    assert not update.up.any()
    assert float(update.down.detach().square().sum(1).mean()) == pytest.approx(1, rel=0.05)


def test_the_probe_is_full_tuning_of_a_copy_for_two_percent_of_the_steps_and_at_least_sixty() -> None:
    short, long = Bench(epochs=10), Bench(epochs=2000)
    base = unet()
    before = fingerprint(base)
    for bench in (short, long):
        CoLoRA(share=SHARE).adapt(copy.deepcopy(base), bench)  # type: ignore[arg-type]
        assert fingerprint(base) == before
    (stage, plan), (_, longer) = short.asked[0], long.asked[0]
    assert stage == "probe"
    assert (plan["max_steps"], plan["max_epochs"], plan["validate_every"]) == (60, 20, 20)  # three batches an epoch
    assert (longer["max_steps"], longer["max_epochs"]) == (120, 40)
    assert plan["schedule"] == "none"
    assert plan["learning_rate"] == 1e-2
    assert any("60 steps" in note for note in short.notes)
    assert any("8 training samples" in note for note in short.notes)


@pytest.mark.parametrize(("accumulate", "epochs"), [(2, 30), (3, 60), (5, 60)])
def test_the_probe_asks_for_no_more_epochs_than_its_steps_fill(accumulate: int, epochs: int) -> None:
    """Three batches an epoch: what is left over after whole steps makes a step as well."""
    bench = Bench(epochs=10, accumulate=accumulate)
    CoLoRA(share=SHARE).adapt(unet(), bench)  # type: ignore[arg-type]
    ((_, plan),) = bench.asked
    assert (plan["max_steps"], plan["max_epochs"]) == (60, epochs)


@pytest.mark.parametrize(("allocation", "probes"), [("uniform", 0), ("random", 0), ("gradient", 0), ("change", 1)])
def test_rules_that_need_no_tuned_copy_make_none(allocation: str, probes: int) -> None:
    bench = Bench()
    adapted(CoLoRA(share=SHARE, allocation=allocation), bench=bench)
    assert len(bench.asked) == probes


def test_without_fine_tuning_nothing_is_asked_and_nothing_trains() -> None:
    bench = Bench()
    bench.finetunes = False
    assert not trainable(adapted(CoLoRA(), bench=bench))
    assert not bench.asked


def test_a_strided_layer_takes_part() -> None:
    network = adapted(CoLoRA(share=SHARE, allocation="uniform"))
    x = batch()["image"]
    before = network(x)
    with torch.no_grad():
        network.down.parametrizations.weight[0].up.add_(0.1)
    assert not torch.allclose(network(x), before)


def test_gradients_reach_up_in_one_step_and_down_in_two() -> None:
    network = adapted(CoLoRA(share=SHARE, allocation="uniform"))
    start = trainable(network)
    once = trainable(train(network, 1))
    ups = [name for name in start if name.endswith(".up")]
    assert ups
    assert not any(torch.equal(start[name], once[name]) for name in ups)
    twice = trainable(train(network, 1))
    assert not any(torch.equal(once[name], twice[name]) for name in start if name.endswith(".down"))


def test_a_share_that_is_spent_before_any_update_says_what_to_type() -> None:
    for method in (CoLoRA(share=0.07), ISSDelta(share=0.07)):
        with pytest.raises(
            BenchmarkError, match=r"method\.share=0\.07 of .*nothing is left.*Type method\.share=0\.\d+ or"
        ):
            adapted(method)


def test_small_parameters_are_vectors_of_any_shape_and_depthwise_kernels() -> None:
    network = unet()
    names = small_parameters(network)
    assert {name for name, p in network.named_parameters()} - names == {f"{name}.weight" for name in LAYERS}
    expected = sum(p.numel() for name, p in network.named_parameters() if name in names)
    assert unique_parameters(adapted(Small()), trainable=True) == expected == spending(network, SHARE).small
    row = nn.Sequential(nn.Conv2d(4, 1, 1), nn.Linear(5, 1))
    assert small_parameters(row) == {"0.bias", "1.bias"}
    kinds = kinds_of(network, spending(network, SHARE))
    assert set().union(*kinds.values()) == dict(network.named_parameters()).keys()
    assert {name.rpartition(".")[2] for name in kinds["variables"]} == {"beta"}
    assert {name.split(".")[-2] for name in kinds["depthwise"]} == {"spatial"}
    with pytest.raises(BenchmarkError, match=r"depthwise kernels to train: Sequential"):
        adapted(Small(), nn.Sequential(nn.Linear(3, 3, bias=False)))


def test_small_and_bias_norm_differ_by_step_sizes_and_depthwise_kernels() -> None:
    more = trainable(adapted(Small())).keys() - trainable(adapted(BiasNorm())).keys()
    assert {name.partition(".")[2] for name in more} == {"beta", "spatial.weight"}


def test_a_decoder_is_what_the_network_names() -> None:
    assert {name.partition(".")[0] for name in trainable(adapted(DecoderOnly()))} == {"decoder", "up", "ending"}
    with pytest.raises(BenchmarkError, match=r"names no decoder .*Sequential\. Type method=small"):
        adapted(DecoderOnly(), nn.Sequential(nn.Linear(3, 3)))


def test_scales_and_shifts_are_one_number_an_output_and_norms_train() -> None:
    found = trainable(adapted(SSF()))
    weights = dict(unet().named_parameters())
    scales = {name: value for name, value in found.items() if name.endswith(".scale")}
    layers = [*LAYERS, *(f"{part}.spatial" for part in ("encoder", "middle", "decoder"))]
    assert {name.removesuffix(".parametrizations.weight.0.scale") for name in scales} == set(layers)
    for name, value in scales.items():
        assert len(value) == len(weights[name.replace("parametrizations.weight.0.scale", "weight")])
    rest = found.keys() - scales.keys()
    assert rest == {name for name in weights if name.endswith(".bias") or ".norm." in name}


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
