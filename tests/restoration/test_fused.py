"""The fused form of NAFNet answers as the network does, and refuses what it does not know."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank.conv import LowRankConv2d
from benchmarks.models.lowrank.surgery import replace_module
from benchmarks.models.restoration.build import build
from benchmarks.models.restoration.fused import fuse


def trained_like() -> nn.Module:
    """A small NAFNet in which every parameter acts."""
    generator = torch.Generator().manual_seed(0)
    network = build("nafnet", width=8, encoder=[1, 2], middle=1, decoder=[2, 1]).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network


@pytest.mark.parametrize("shape", [(1, 3, 16, 20), (3, 3, 13, 7), (1, 3, 1, 1), (2, 3, 4, 4)])
@torch.inference_mode()
def test_it_answers_as_the_network_and_leaves_network_and_image_alone(shape: tuple[int, ...]) -> None:
    network, image = trained_like().double(), torch.rand(shape, dtype=torch.float64)
    state, given = {name: value.clone() for name, value in network.state_dict().items()}, image.clone()
    fused = fuse(network)
    for _ in range(2):  # what works in place must not change what it holds
        torch.testing.assert_close(fused(image), network(image), rtol=0, atol=1e-12)
    assert torch.equal(image, given)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())


def test_it_has_no_scales_of_its_own_and_nothing_to_train() -> None:
    network = trained_like()
    names = dict(fuse(network).named_parameters())
    assert not any(parameter.requires_grad for parameter in names.values())
    scales = sum(value.numel() for name, value in network.named_parameters() if name.endswith(("beta", "gamma")))
    assert sum(value.numel() for value in names.values()) == sum(p.numel() for p in network.parameters()) - scales


@torch.inference_mode()
def test_in_bfloat16_the_image_itself_is_not_rounded() -> None:
    network, image = trained_like(), torch.rand(1, 3, 16, 16)
    coarse = fuse(network, torch.bfloat16)
    change = network(image) - image
    answer = coarse(image)
    assert answer.dtype == torch.float32
    assert {value.dtype for value in coarse.state_dict().values()} == {torch.bfloat16}
    assert ((answer - image) - change).norm() < 0.02 * change.norm()
    with torch.no_grad():
        coarse.ending.weight.zero_()
        coarse.ending.bias.zero_()
    assert torch.equal(coarse(image), image)


@torch.no_grad()
def test_it_can_be_exported_for_any_number_of_images() -> None:
    fused = fuse(trained_like())
    sizes = ({0: torch.export.Dim("batch", min=1)},)
    program = torch.export.export(fused, (torch.rand(2, 3, 16, 16),), dynamic_shapes=sizes, strict=True).module()
    for count in (1, 5):
        image = torch.rand(count, 3, 16, 16)
        torch.testing.assert_close(program(image), fused(image), rtol=0, atol=1e-5)


def test_other_networks_and_replaced_convolutions_are_refused() -> None:
    with pytest.raises(BenchmarkError, match="network has no fused form: PReNet"):
        fuse(build("prenet"))
    network = trained_like()
    replace_module(network, "middle_blks.0.conv1", LowRankConv2d(32, 64, 2, (1, 1)))
    with pytest.raises(BenchmarkError, match="layer has no fused form: LowRankConv2d"):
        fuse(network)
