"""UNETR in the task: its size, one window and several, and a step that trains every parameter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.datasets.bundle import Split
from benchmarks.medseg.task import MedSeg
from benchmarks.models.medseg.build import build
from benchmarks.models.size import unique_parameters
from benchmarks.profiling import count_flops
from benchmarks.solver import NetworkSolver
from benchmarks.solver import build as build_for

pytest.importorskip("monai", reason="the extra `unetr` is not installed")
TINY = {"image_size": 32, "feature_size": 4, "hidden_size": 24, "mlp_dim": 48, "num_heads": 2}


def test_sizes_are_those_of_the_package() -> None:
    with torch.device("meta"):
        assert unique_parameters(build("unetr")) == 87_549_937


def test_one_window_is_the_package_and_several_are_joined() -> None:
    torch.manual_seed(0)
    network = build("unetr", **TINY).eval()
    image = torch.rand(2, 3, 48, 64)
    with torch.no_grad():
        assert torch.equal(network(image[:, :, :32, :32]), network.network(image[:, :, :32, :32]))
        whole = network(image)
        assert whole.shape == (2, 1, 48, 64)
        # A corner that no other window reaches is that of the first window.
        torch.testing.assert_close(whole[:, :, :8, :8], network(image[:, :, :32, :32])[:, :, :8, :8])
    assert {name for name, module in network.named_modules() if name in network.keep_dense} == set(network.keep_dense)
    assert any(isinstance(module, nn.Linear) for module in network.modules())


def test_it_trains_whole_and_its_operations_are_counted(tmp_path: Path) -> None:
    task, schema = MedSeg(), {"height": 40, "width": 50, "crop": 32, "classes": 2}
    torch.manual_seed(0)
    network = build_for(task, "unetr", TINY, schema)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (2, 40, 50, 3), generator=generator, dtype=torch.uint8)
    mask = torch.randint(3, (2, 40, 50), generator=generator, dtype=torch.uint8)
    task.loss(network, {"image": image, "mask": mask}).backward()
    assert {name for name, value in network.named_parameters() if value.grad is None} == set()
    solver = NetworkSolver(task, network, schema)
    answer = solver.predict({"image": image.numpy()})["probability"]
    assert answer.shape == (2, 2, 40, 50)
    solver.save(tmp_path)
    assert np.array_equal(NetworkSolver.load(task, tmp_path).predict({"image": image.numpy()})["probability"], answer)
    assert count_flops(solver, Split({"image": image.numpy()}, np.arange(2), np.arange(2)), task).value > 1e6
