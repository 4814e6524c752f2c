"""Networks that are cut up over processes (trainer.strategy=fsdp): the same training, checkpoints of a single process."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import sharding, trainer
from benchmarks.checkpoints import LAST
from benchmarks.errors import BenchmarkError
from benchmarks.spec import RunSpec
from benchmarks.sweep import main

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = Path(__file__).with_name("sharded_training.py")
_described = importlib.util.spec_from_file_location("sharded_training", PROGRAM)
assert _described is not None
assert _described.loader is not None
tiny = importlib.util.module_from_spec(_described)
sys.modules["sharded_training"] = tiny  # a NamedTuple looks its module up
_described.loader.exec_module(tiny)

ONE = sorted(tiny.CASES.keys() - {"normed", "mixed", "shrunk"})
"""Cases that a single process trains alike: in each of two BatchNorm sees half a batch, sums in bf16 are of fewer numbers, and
what is largest by a rounding may be another number."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ran in two processes, each way; the resumed one from what a single process left."""
    folder = tmp_path_factory.mktemp("sharded")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trainer, "CHECKPOINT_SECONDS", -1.0)
        tiny.train(tiny.RESUMED, folder / "left-by-one", max_epochs=1)
    environment = {key: value for key, value in os.environ.items() if key not in ("LOCAL_RANK", "MASTER_PORT")}
    for strategy in ("ddp", "fsdp"):
        shutil.copytree(folder / "left-by-one", folder / f"taken-up-by-{strategy}")
        command = [sys.executable, str(PROGRAM), strategy, str(folder)]
        done = subprocess.run(
            command, env=environment | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
    return folder


def left(folder: Path, strategy: str, name: str, rank: int = 0) -> dict[str, Any]:
    """What a process had in the end of a training."""
    made: dict[str, dict[str, Any]] = torch.load(folder / f"{strategy}-{rank}.pt")
    return made[name]


def agree(one: dict[str, Any], other: dict[str, Any], tolerance: float = 1e-5) -> None:
    """Weights and the rows of the history are the same, to rounding."""
    assert one["state"].keys() == other["state"].keys()
    for name, value in one["state"].items():
        assert type(other["state"][name]) is torch.Tensor
        assert other["state"][name].dtype == value.dtype
        torch.testing.assert_close(other["state"][name], value, rtol=tolerance, atol=tolerance, msg=name)
    assert len(one["rows"]) == len(other["rows"])
    for row, beside in zip(one["rows"], other["rows"], strict=True):
        assert beside == pytest.approx(row, rel=tolerance, abs=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE)
def test_two_processes_train_a_network_that_is_cut_up_as_one_process_does(folder: Path, name: str) -> None:
    network, history = tiny.train(tiny.CASES[name])
    begun = tiny.CASES[name].network().state_dict()
    assert any(not torch.equal(value, begun[key]) for key, value in network.state_dict().items())
    agree(tiny.outcome(network, history), left(folder, "fsdp", name))


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny.CASES)
def test_it_is_trained_as_whole_copies_are(folder: Path, name: str) -> None:
    agree(left(folder, "ddp", name), left(folder, "fsdp", name))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*tiny.CASES, "resumed"])
def test_all_processes_have_the_whole_network_in_the_end(folder: Path, name: str) -> None:
    agree(left(folder, "fsdp", name, 0), left(folder, "fsdp", name, 1), 0.0)


@pytest.mark.slow
def test_its_checkpoint_is_that_of_a_single_process(folder: Path) -> None:
    one, two = (
        torch.load(folder / f"left-by-{who}" / LAST, weights_only=True, map_location="cpu") for who in ("one", "fsdp")
    )
    assert described(two) == described(one)


def described(value: Any) -> Any:
    """The names, shapes and types in a checkpoint, without what differs between two runs of one command."""
    if isinstance(value, dict):
        return {key: described(each) for key, each in value.items() if key not in ("seconds", "loops")}
    if isinstance(value, list | tuple):
        return [described(each) for each in value]
    return (tuple(value.shape), value.dtype) if isinstance(value, torch.Tensor) else type(value)


@pytest.mark.slow
def test_training_goes_on_from_it_in_one_process_and_the_other_way_round(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = tiny.outcome(*tiny.train(tiny.RESUMED))
    shutil.copytree(folder / "left-by-fsdp", tmp_path / "fsdp")
    alone = tiny.outcome(*tiny.train(tiny.RESUMED, tmp_path / "fsdp"))
    for resumed in (alone, left(folder, "fsdp", "resumed")):
        assert resumed.pop("resumed_from") == 1
        agree(undisturbed, resumed)


def test_blocks_of_several_layers_are_gathered_by_themselves() -> None:
    network = tiny.plain()
    assert sharding.blocks(network) == list(network.blocks)
    assert sharding.blocks(tiny.tied()) == [], "what is shared must be whole wherever it is read"
    assert sharding.blocks(nn.Sequential(nn.Linear(2, 2), nn.ReLU())) == [], "a layer's weight may be read by its owner"
    adapted = tiny.adapted()
    assert sharding.blocks(adapted) == list(adapted.blocks), "an update is a part of its layer"
    stage = nn.Module()  # without a forward: its parts are called
    stage.steps = nn.Sequential(tiny.Block())
    assert sharding.blocks(nn.ModuleList([stage])) == [stage.steps[0]]


@pytest.mark.parametrize(
    "word",
    ["tables=rowwise_adagrad", "precision=16-mixed", "compile=true", "accelerator=mps"],
)
def test_what_does_not_go_with_it_is_refused_with_what_to_type(word: str) -> None:
    with pytest.raises(BenchmarkError, match=rf"'trainer\.{word}' does not go .* or trainer\.strategy=ddp"):
        RunSpec.of(["task=ctr", "trainer.devices=2", "trainer.strategy=fsdp", f"trainer.{word}"])
    RunSpec.of(["task=ctr", "trainer.devices=2", "trainer.strategy=ddp", f"trainer.{word}"])


def test_a_sweep_of_it_is_refused_with_the_command_of_a_single_run() -> None:
    words = ["task=ctr", "method=none", "trainer.devices=2", "trainer.strategy=fsdp"]
    with pytest.raises(BenchmarkError, match=r"type one run: .*trainer\.devices=2 trainer\.strategy=fsdp seed=0"):
        main(["-m", *words, "seed=0,1"])
