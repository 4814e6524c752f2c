"""Packaged networks in the task: sizes, any image size, and a step that trains every parameter."""

from __future__ import annotations

import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.medseg.task import MedSeg
from benchmarks.models.medseg.build import build
from benchmarks.models.size import unique_parameters

pytest.importorskip("segmentation_models_pytorch", reason="the extra `unet` is not installed")
SCHEMA = {"height": 50, "width": 70, "crop": 0}


@pytest.mark.parametrize(("name", "parameters"), [("unet", 14_328_209), ("segformer", 3_714_401)])
def test_peers_have_the_sizes_that_their_pages_give(name: str, parameters: int) -> None:
    assert unique_parameters(build(name)) == parameters


@pytest.mark.parametrize(("name", "encoder"), [("unet", "resnet18"), ("segformer", "mit_b0")])
def test_a_peer_answers_any_image_and_trains_whole(name: str, encoder: str) -> None:
    task = MedSeg()
    torch.manual_seed(0)
    network = task.network(name, {"encoder": encoder}, SCHEMA).eval()  # without branches that are left out at random
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (2, 50, 70, 3), generator=generator, dtype=torch.uint8)
    task.loss(network, {"image": image, "mask": image[..., 0] > 128}).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in network.parameters())
    with torch.no_grad():
        assert task.predict(network, {"image": image})["probability"].shape == (2, 50, 70)


def test_an_unknown_encoder_is_answered_with_the_nearest() -> None:
    with pytest.raises(BenchmarkError, match="Did you mean 'mit_b0"):
        build("segformer", encoder="mitb0")
