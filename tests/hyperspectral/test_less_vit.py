"""LESS ViT: the same weights on any bands, in any order, by their wavelengths; what it refuses and what methods act on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.hyperspectral.build import build
from benchmarks.models.hyperspectral.less_encoder import Layout
from benchmarks.models.hyperspectral.less_vit import LessViT
from benchmarks.models.hyperspectral.operators import OPERATORS
from benchmarks.models.hyperspectral.tokens import patches_of
from benchmarks.models.lowrank.surgery import conv_units, whole_linear_units

TASK = {"classes": 5, "window": 8, "wavelength_range": (418.24, 2445.53)}
SMALL = {"dim": 32, "heads": 2, "depth": 2, "layer_scale": 1.0, "head_width": 8}


def made(**settings: object) -> LessViT:
    torch.manual_seed(0)
    network = build("less_vit", **TASK | SMALL | settings)
    assert isinstance(network, LessViT)
    return network.eval()


def cube(bands: int, height: int = 8, width: int = 8, samples: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(bands)
    wavelengths = 420 + 2000 * torch.rand(bands, generator=generator).sort().values
    return torch.randn(samples, bands, height, width, generator=generator), wavelengths


@pytest.mark.parametrize("operator", OPERATORS)
@torch.no_grad()
def test_the_same_weights_answer_one_band_and_two_hundred(operator: str) -> None:
    network = made(operator=operator)
    for bands in (1, 24, 202):
        x, wavelengths = cube(bands, 4, 8)
        assert network(x, wavelengths).shape == (2, 5, 4, 8)


@pytest.mark.parametrize("position", ["rope", "sincos"])
@pytest.mark.parametrize("operator", OPERATORS)
@torch.no_grad()
def test_the_order_of_bands_does_not_matter_but_their_wavelengths_do(operator: str, position: str) -> None:
    network = made(operator=operator, position=position, rank=2)
    x, wavelengths = cube(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    found = network(x, wavelengths)
    torch.testing.assert_close(network(x[:, order], wavelengths[order]), found, rtol=0, atol=1e-5)
    assert float((network(x, wavelengths[order]) - found).abs().max()) > 1e-4


@torch.no_grad()
def test_the_range_of_wavelengths_is_stated_and_not_that_of_the_bands_at_hand() -> None:
    x, wavelengths = cube(6)
    bounds = (float(wavelengths[0]), float(wavelengths[-1]))
    assert not torch.allclose(made()(x, wavelengths), made(wavelength_range=bounds)(x, wavelengths), atol=1e-5)


@torch.no_grad()
def test_there_is_a_token_for_every_band_and_position_and_one_more_of_each() -> None:
    network = made()
    for bands, height, width in ((1, 2, 2), (7, 8, 4), (24, 8, 8)):
        x, wavelengths = cube(bands, height, width)
        grid = (height // 2, width // 2)
        found = network.encoder(patches_of(x, 2), Layout(wavelengths[None], grid))
        assert found.shape == (2, 1 + bands, 1 + grid[0] * grid[1], 32)


def test_cls_tokens_fill_row_and_column_0() -> None:
    network = made()
    x, wavelengths = cube(3, 4, 4, samples=1)
    tokens = network.encoder.tokens
    grid = tokens(patches_of(x, 2), wavelengths[None])
    assert torch.equal(grid[0, 0, 0], tokens.global_cls)
    assert torch.equal(grid[0, 0, 1:], tokens.channel_cls.expand(4, -1))
    assert torch.equal(grid[0, 1:, 0], tokens.spatial_cls.expand(3, -1))
    one = patches_of(x[:, 1:2, 2:, :2], 2)  # the patch of the second row and the first column
    torch.testing.assert_close(grid[0, 2, 1 + 2], tokens.optical(one)[0, 0, 0])


@pytest.mark.parametrize("operator", OPERATORS)
@pytest.mark.parametrize(
    "settings", [{}, {"position": "sincos", "form": "v1", "rank": 2, "gsd": 10.0, "perception_radius": 30.0}]
)
@torch.no_grad()
def test_the_last_block_computes_what_is_read_and_nothing_changes(operator: str, settings: dict[str, object]) -> None:
    network = made(operator=operator, **settings)
    x, wavelengths = cube(11)
    layout = Layout(wavelengths[None], (4, 4))
    whole = network.encoder(patches_of(x, 2), layout)
    torch.testing.assert_close(
        network.encoder(patches_of(x, 2), layout, first_row=True), whole[:, :1], rtol=0, atol=1e-5
    )
    widths: list[int] = []
    network.encoder.blocks[-1].mlp.register_forward_hook(lambda _, inputs, __: widths.append(inputs[0].shape[1]))
    network(x, wavelengths)
    assert widths == [1]


@pytest.mark.parametrize("operator", OPERATORS)
def test_gradients_reach_every_parameter(operator: str) -> None:
    network = made(operator=operator, rank=2, perception_radius=60.0, gsd=30.0).train()
    network(*cube(8)).square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_radar_channels_have_weights_of_their_own_and_an_absent_group_spoils_nothing() -> None:
    network = made(radar=[5500.0, 5700.0])
    tokens = network.encoder.tokens
    assert tokens.radar is not None
    x, _ = cube(4, samples=3)
    patches = patches_of(x, 2)
    both = tokens.embed(patches, torch.tensor([[490.0, 5700.0, 560.0, 5500.0]]))
    torch.testing.assert_close(both[:, [0, 2]], tokens.optical(patches[:, [0, 2]]))
    torch.testing.assert_close(both[:, [1, 3]], tokens.radar(patches[:, [1, 3]]))
    nn.init.constant_(tokens.radar.fc1.weight, torch.nan)
    found = network(x, torch.tensor([490.0, 560.0, 665.0, 842.0]))
    found.sum().backward()
    assert torch.isfinite(found).all()
    assert torch.isfinite(tokens.optical.fc1.weight.grad).all()
    assert not tokens.radar.fc1.weight.grad.any()


def test_a_sample_is_answered_alike_in_any_batch() -> None:
    network = made(radar=[5500.0])
    x, wavelengths = cube(6, samples=4)
    with torch.no_grad():
        torch.testing.assert_close(network(x[2:3], wavelengths), network(x, wavelengths)[2:3], rtol=0, atol=1e-5)


@pytest.mark.parametrize(("head", "patch"), [("conv", 1), ("conv", 4), ("linear", 3)])
@torch.no_grad()
def test_heads_answer_every_pixel(head: str, patch: int) -> None:
    network = made(head=head, patch=patch, window=12)
    assert network.multiple == patch
    assert network(*cube(3, 12, 24)).shape == (2, 5, 12, 24)


def test_a_linear_head_lays_a_patch_out_row_by_row() -> None:
    network = made(head="linear")
    embedding = torch.randn(1, 32, 2, 2)
    logits = network.head(embedding)
    plain = network.head.out(embedding)
    torch.testing.assert_close(logits[0, 3, 2:, :2].flatten(), plain[0, 4 * 3 : 4 * 4, 1, 0])


@pytest.mark.parametrize(
    ("operator", "names"),
    [
        ("less", {"attn.pool.down", "attn.proj"}),
        ("additive", {"attn.pool.down", "attn.proj"}),
        ("full", {"attn.qkv", "attn.proj"}),
        ("axial", {"attn.spatial.qkv", "attn.spatial.proj", "attn.spectral.qkv", "attn.spectral.proj"}),
    ],
)
def test_methods_act_on_the_wide_layers_of_blocks_at_their_default_rank(operator: str, names: set[str]) -> None:
    network = build("less_vit", **TASK, operator=operator)
    layers = whole_linear_units(network)
    expected = {f"encoder.blocks.{block}.{name}" for block in range(3) for name in names | {"mlp.fc1", "mlp.fc2"}}
    assert layers.keys() == expected
    assert conv_units(network, network.keep_dense) == {}
    assert all(16 * sum(layer.weight.shape) < layer.weight.numel() for layer in layers.values())


def test_branches_of_a_wide_network_are_acted_on() -> None:
    with torch.device("meta"):
        network = build("less_vit", **TASK, dim=768, heads=12, channel_dim=2, patch=8, depth=1)
    layers = whole_linear_units(network)
    assert {"encoder.blocks.0.attn.spatial.qk", "encoder.blocks.0.attn.pool.spatial_pool.kv"} <= layers.keys()
    assert not any(".channel" in name for name in layers)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"window": 9}, "whole patches"),
        ({"channel_dim": 1}, "position=rope"),
        ({"channel_dim": 3}, "divides dim"),
        ({"patch": 3, "window": 9}, "power of two"),
        ({"wavelength_range": (2445.0, 418.0)}, "wavelength_range"),
        ({"depth": 0}, "depth"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"gsd": 0.0}, "gsd"),
        ({"gsd": None, "position": "sincos"}, r"needs metres.*Type model\.gsd=30"),
        ({"gsd": None, "perception_radius": 60.0}, r"needs metres.*Type model\.gsd=30"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        made(**settings)


@pytest.mark.parametrize(
    ("key", "value"), [("operator", "les"), ("position", "ropes"), ("head", "convs"), ("form", "v")]
)
def test_names_that_are_not_known_are_answered_with_those_that_are(key: str, value: str) -> None:
    with pytest.raises(BenchmarkError, match=value):
        made(**{key: value})


def test_bands_without_a_wavelength_are_refused() -> None:
    network = made()
    x, wavelengths = cube(4)
    with pytest.raises(ValueError, match="wavelength for every band"):
        network(x, wavelengths[:3])
    with pytest.raises(ValueError, match="whole patches"):
        network(x[:, :, :7], wavelengths)


@torch.no_grad()
def test_a_traced_network_answers_as_the_network_does_which_goes_on_answering() -> None:
    """A grid that nothing else here has, so that its tables are first made while tracing."""
    network = made(depth=1, perception_radius=90.0, gsd=30.0)
    x, wavelengths = cube(5, 10, 6, samples=3)
    shapes = {"cube": {0: torch.export.Dim.DYNAMIC}, "wavelengths": None}
    program = torch.export.export(network, (x, wavelengths), dynamic_shapes=shapes).module()
    for samples in (1, 3):
        torch.testing.assert_close(program(x[:samples], wavelengths), network(x[:samples], wavelengths))
