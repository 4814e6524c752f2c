"""Low-rank convolutions: what is linear on patches is factorised as such, at every geometry."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from benchmarks.models.lowrank.afm import afm_conv
from benchmarks.models.lowrank.conv import LowRankConv2d, compressible, geometry_of, on_patches
from benchmarks.models.lowrank.moments import collect_input_moments
from benchmarks.models.lowrank.surgery import LAYERS, blueprint, conv_units, replace_module, restore
from benchmarks.models.lowrank.svd import svd_conv
from benchmarks.models.sparse_object.contrast import Contrast, kernel_sum
from benchmarks.models.sparse_object.rpcanet import RPCANet
from benchmarks.models.sparse_object.rpcanet_pp import RPCANetPlusPlus
from benchmarks.models.trajectory.build import NETWORKS, build

GEOMETRIES = {
    "same": {"kernel_size": 3, "padding": 1},
    "strided": {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "bias": False},
    "dilated": {"kernel_size": (2, 3), "dilation": (1, 2), "padding": (0, 2)},
    "pointwise": {"kernel_size": 1},
}


def conv_of(kind: str, seed: int = 0) -> tuple[nn.Conv2d, torch.Tensor]:
    torch.manual_seed(seed)
    return nn.Conv2d(5, 7, **GEOMETRIES[kind]), torch.randn(3, 5, 11, 9)


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_a_convolution_is_the_linear_layer_on_its_patches(kind: str) -> None:
    conv, x = conv_of(kind)
    seen = nn.functional.unfold(x, conv.kernel_size, conv.dilation, conv.padding, conv.stride).transpose(1, 2)
    torch.testing.assert_close(on_patches(conv)(seen), conv(x).flatten(2).transpose(1, 2), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", GEOMETRIES)
@pytest.mark.parametrize("method", ["svd", "afm"])
def test_at_full_rank_nothing_changes(kind: str, method: str) -> None:
    conv, x = conv_of(kind)
    moments = collect_input_moments(nn.Sequential(conv), ["0"], [x])["0"]
    factors = svd_conv(conv) if method == "svd" else afm_conv(conv, moments)
    layer = factors.truncate(len(factors.spectrum))
    torch.testing.assert_close(layer(x), conv(x), atol=1e-4, rtol=1e-4)
    assert factors.unit("0").params(2) == sum(p.numel() for p in factors.truncate(2).parameters())


def test_truncated_svd_loses_the_smallest_singular_values() -> None:
    conv, _ = conv_of("same")
    layer = svd_conv(conv).truncate(3)
    lost = (layer.kernel() - conv.weight).square().sum()
    assert lost.item() == pytest.approx(
        torch.linalg.svdvals(conv.weight.flatten(1))[3:].square().sum().item(), rel=1e-5
    )


def test_afm_loses_less_of_the_output_than_svd_where_inputs_are_uneven() -> None:
    conv, x = conv_of("same")
    x = x * torch.tensor([10.0, 3, 1, 0.3, 0.1])[:, None, None]
    moments = collect_input_moments(nn.Sequential(conv), ["0"], [x])["0"]
    factors = afm_conv(conv, moments)
    errors = {
        name: (found.truncate(2)(x) - conv(x)).square().mean((0, 2, 3)).sum().item()
        for name, found in {"afm": factors, "svd": svd_conv(conv)}.items()
    }
    assert errors["afm"] < errors["svd"]
    assert errors["afm"] == pytest.approx(factors.spectrum[2:].sum().item(), rel=1e-4)


@pytest.mark.parametrize("kind", GEOMETRIES)
def test_a_blueprint_builds_the_layer_again(kind: str) -> None:
    conv, x = conv_of(kind)
    network, fresh = nn.Sequential(conv), nn.Sequential(conv_of(kind, seed=1)[0])
    replace_module(network, "0", svd_conv(conv).truncate(2, "relu"))
    described = json.loads(json.dumps(blueprint(network)))
    restore(fresh, described)
    fresh.load_state_dict(network.state_dict())
    assert torch.equal(fresh(x), network(x))
    assert isinstance(fresh[0], LAYERS["LowRankConv2d"])
    assert fresh[0].geometry == geometry_of(conv)


def test_what_is_no_single_matrix_is_left_alone() -> None:
    assert not compressible(nn.Conv2d(4, 4, 3, groups=2))
    assert not compressible(nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"))
    assert not compressible(nn.Conv2d(4, 4, 3, padding="same"))
    network = nn.Sequential(nn.Conv2d(4, 4, 3, groups=2), nn.Conv2d(4, 4, 3))
    assert list(conv_units(network)) == ["1"]
    assert not conv_units(network, ["1"])
    replace_module(network, "1", svd_conv(network[1]).truncate(1))
    assert not conv_units(network)


def test_networks_name_what_no_rank_makes_smaller() -> None:
    plain, memory = RPCANet(2, 4), RPCANetPlusPlus(2, 4)
    for network, inner in ((plain, 3 + 6 + 3), (memory, 4 + 4 + 6 + 1 + 3)):
        units = conv_units(network, network.keep_dense)
        first = [name for name in units if name.startswith("decos.0.")]
        # The first stage of the memory lacks the forget gate and all convolutions of h.
        assert len(first) == inner - (0 if network is plain else 1)
        assert all(min(conv.in_channels, conv.out_channels) == 4 for conv in units.values())
    for name in NETWORKS:
        predictor = build(name, 8, 12)
        assert not conv_units(predictor, predictor.keep_dense), name


def test_a_contrast_kernel_in_two_factors_has_the_sum_of_their_product() -> None:
    torch.manual_seed(0)
    contrast = Contrast(4).eval()
    x = torch.randn(2, 4, 24, 24)
    expected = contrast(x)
    replace_module(contrast, "conv", svd_conv(contrast.conv).truncate(4))
    assert isinstance(contrast.conv, LowRankConv2d)
    torch.testing.assert_close(contrast(x), expected, atol=1e-4, rtol=1e-4)
    assert kernel_sum(contrast.conv).shape == (4, 4, 1, 1)
