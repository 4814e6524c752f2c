"""Networks of restoration: official sizes, names and costs, and independent renderings of what they compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import registry
from benchmarks.errors import BenchmarkError
from benchmarks.models.restoration.build import NETWORKS, build
from benchmarks.models.restoration.layer_norm import LayerNorm2d
from benchmarks.models.restoration.nafnet import NAFBlock, NAFNet
from benchmarks.transforms import formulas

LITTLE = {
    "nafnet": {"width": 4, "encoder": [1, 1], "middle": 1, "decoder": [1, 1]},
    "restormer": {"width": 8, "blocks": [1, 1, 1, 1], "refinement": 1},
    "dncnn": {"layers": 3, "width": 8, "norm": True},
    "prenet": {"iterations": 2},
    "prn_r": {"iterations": 2, "recursive": True, "lstm": False},
}


def configured(name: str, **changes: object) -> nn.Module:
    """The network of a file of `conf/model`."""
    settings = registry.entry("model", name).settings
    own = {key: value for key, value in settings.items() if key not in registry.HEADER["model"] | {"name"}}
    return build(name, **own | changes)


def count(parameters: object) -> int:
    return sum(parameter.numel() for parameter in parameters)


def stirred(network: nn.Module) -> nn.Module:
    """All parameters moved at random, so that nothing is at its neutral start."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "changes", "parameters"),
    [
        ("nafnet", {}, 29_159_715),
        ("nafnet", {"width": 64}, 115_982_915),
        ("nafnet", {"width": 16}, 7_371_923),
        ("nafnet_gopro", {}, 17_111_907),
        ("nafnet", {"width": 16, "encoder": [1] * 4, "middle": 1, "decoder": [1] * 4}, 1_137_203),
        ("nafnet_small", {}, 438_387),
        ("nafnet_tiny", {}, 104_115),
        ("restormer", {}, 26_126_644),
        ("restormer", {"norm_bias": False}, 26_111_668),
        ("dncnn", {}, 555_137),
        ("dncnn", {"layers": 20, "channels": 3}, 668_227),
        ("prenet", {}, 168_963),
        ("prenet_r", {}, 94_979),
        ("prn_r", {}, 21_123),
    ],
)
def test_networks_have_the_official_sizes(name: str, changes: dict[str, object], parameters: int) -> None:
    with torch.device("meta"):
        assert count(configured(name, **changes).parameters()) == parameters


def test_every_network_has_a_file_of_settings_and_the_other_way_round() -> None:
    files = [name for name, model in registry.entries("model").items() if "restoration" in model.header("tasks")]
    assert sorted(files) == sorted(NETWORKS)


def test_nafnet_is_composed_as_the_adapters_count_it() -> None:
    with torch.device("meta"):
        network = configured("nafnet")
    convs = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    dense = [conv for conv in convs if conv.groups == 1]
    shapes = [(len(conv.weight), conv.weight[0].numel()) for conv in dense]
    assert len(dense) == 190
    assert sum(out * patch for out, patch in shapes) == 28_833_472
    assert sum(out + patch for out, patch in shapes) == 124_382
    assert count(conv.weight for conv in convs if conv.groups > 1) == 177_408
    assert count(network.parameters()) - 28_833_472 == 326_243
    assert count(conv.bias for conv in convs if conv.bias is not None) == 89_699
    assert [conv.bias for conv in convs].count(None) == 4


@pytest.mark.parametrize(
    ("name", "changes", "gmac"),
    [
        ("nafnet", {}, 4.014),
        ("nafnet_gopro", {}, 3.991),
        ("nafnet_small", {}, 0.310),
        ("nafnet", {"width": 64}, 15.821),
    ],
)
def test_nafnet_costs_what_is_published(name: str, changes: dict[str, object], gmac: float) -> None:
    with torch.device("meta"):
        network, image = configured(name, **changes), torch.empty(1, 3, 128, 128)
    with FlopCounterMode(display=False, custom_mapping=formulas()) as counter:
        network(image)
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, abs=5e-4)


def test_names_are_those_of_official_checkpoints() -> None:
    with torch.device("meta"):
        names = {name: configured(name).state_dict() for name in ("nafnet", "restormer", "dncnn", "prenet")}
    for name, shape in {
        "intro.weight": (32, 3, 3, 3),
        "encoders.3.7.conv2.weight": (512, 1, 3, 3),
        "downs.0.bias": (64,),
        "middle_blks.11.sca.1.weight": (512, 512, 1, 1),
        "middle_blks.0.norm1.bias": (512,),
        "ups.0.0.weight": (1024, 512, 1, 1),
        "decoders.3.1.gamma": (1, 32, 1, 1),
        "ending.bias": (3,),
    }.items():
        assert names["nafnet"][name].shape == shape
    for name, shape in {
        "patch_embed.proj.weight": (48, 3, 3, 3),
        "encoder_level1.3.attn.temperature": (1, 1, 1),
        "latent.7.attn.qkv_dwconv.weight": (1152, 1, 3, 3),
        "latent.7.norm1.body.bias": (384,),
        "down3_4.body.0.weight": (96, 192, 3, 3),
        "reduce_chan_level2.weight": (96, 192, 1, 1),
        "refinement.3.ffn.project_in.weight": (510, 96, 1, 1),
        "output.weight": (3, 96, 3, 3),
    }.items():
        assert names["restormer"][name].shape == shape
    assert names["dncnn"]["model.32.weight"].shape == (1, 64, 3, 3)
    assert names["prenet"]["conv_o.0.weight"].shape == (32, 64, 3, 3)
    assert names["prenet"]["res_conv5.2.bias"].shape == (32,)


@pytest.mark.parametrize("name", LITTLE)
@pytest.mark.parametrize("size", [(1, 1), (7, 12), (16, 8)])
def test_images_of_any_size_come_back_in_it(name: str, size: tuple[int, int]) -> None:
    network = stirred(build(name, **LITTLE[name]))
    image = torch.rand(2, 3, *size)
    with torch.inference_mode():
        restored = network(image)
        network, exact = network.double(), image.double()
        torch.testing.assert_close(network(exact)[1:], network(exact[1:]))
    assert restored.shape == image.shape
    assert restored.dtype == torch.float32
    assert not torch.equal(restored, image)


@pytest.mark.parametrize("name", LITTLE)
def test_gradients_reach_every_parameter(name: str) -> None:
    network = stirred(build(name, **LITTLE[name])).train()
    network(torch.rand(2, 3, 16, 16)).square().sum().backward()
    silent = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    assert silent == []


@pytest.mark.parametrize("name", LITTLE)
@torch.no_grad()
def test_networks_can_be_exported_for_any_number_of_images(name: str) -> None:
    network = build(name, **LITTLE[name]).eval()
    sizes = ({0: torch.export.Dim("batch", min=1)},)
    program = torch.export.export(network, (torch.rand(2, 3, 16, 16),), dynamic_shapes=sizes, strict=True).module()
    for number in (1, 3):
        image = torch.rand(number, 3, 16, 16)
        torch.testing.assert_close(program(image), network(image), rtol=0, atol=1e-5)


def test_a_fresh_block_is_the_identity() -> None:
    features = torch.randn(2, 6, 5, 7)
    assert torch.equal(NAFBlock(6)(features), features)


def test_nafnet_pads_with_zeros_at_the_bottom_and_right() -> None:
    network = stirred(build("nafnet", **LITTLE["nafnet"]))
    image = torch.rand(1, 3, 6, 9)
    with torch.inference_mode():
        whole = network(functional.pad(image, (0, 3, 0, 2)))
        torch.testing.assert_close(network(image), whole[:, :, :6, :9], rtol=0, atol=1e-6)


def test_a_block_is_what_its_equations_say() -> None:
    """In NumPy, pixel by pixel."""
    block = stirred(NAFBlock(4)).double()
    x = np.random.default_rng(0).normal(size=(4, 5, 6))
    p = {name: value.numpy() for name, value in block.state_dict().items()}

    def pointwise(name: str, at: np.ndarray) -> np.ndarray:
        return p[f"{name}.weight"][:, :, 0, 0] @ at + p[f"{name}.bias"]

    def normed(name: str, at: np.ndarray) -> np.ndarray:
        return (at - at.mean()) / np.sqrt(at.var() + 1e-6) * p[f"{name}.weight"] + p[f"{name}.bias"]

    height, width = x.shape[1:]
    mixed = np.zeros((8, height + 2, width + 2))
    for i, j in np.ndindex(height, width):
        mixed[:, i + 1, j + 1] = pointwise("conv1", normed("norm1", x[:, i, j]))
    gated = np.zeros_like(x)
    for i, j in np.ndindex(height, width):
        around = mixed[:, i : i + 3, j : j + 3]
        filtered = (around * p["conv2.weight"][:, 0]).sum((1, 2)) + p["conv2.bias"]
        gated[:, i, j] = filtered[:4] * filtered[4:]
    attention = pointwise("sca.1", gated.mean((1, 2)))
    expected = np.zeros_like(x)
    for i, j in np.ndindex(height, width):
        y = x[:, i, j] + p["beta"].ravel() * pointwise("conv3", attention * gated[:, i, j])
        wide = pointwise("conv4", normed("norm2", y))
        expected[:, i, j] = y + p["gamma"].ravel() * pointwise("conv5", wide[:4] * wide[4:])
    answer = block(torch.from_numpy(x)[None])[0].detach().numpy()
    np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-10)


def test_nafnet_is_a_residual_u_of_blocks() -> None:
    """With its own blocks and convolutions, but the rearrangement of pixels and the sums written out."""
    network = stirred(build("nafnet", **LITTLE["nafnet"]))
    assert isinstance(network, NAFNet)
    image = torch.rand(1, 3, 8, 12)

    def twice_the_size(x: Tensor) -> Tensor:
        """Channel 4 c + 2 i + j goes to row 2 y + i and column 2 x + j of channel c."""
        n, channels, height, width = x.shape
        made = x.new_zeros(n, channels // 4, 2 * height, 2 * width)
        for i, j in np.ndindex(2, 2):
            made[:, :, i::2, j::2] = x[:, 2 * i + j :: 4]
        return made

    with torch.inference_mode():
        fine = network.encoders[0](network.intro(image))
        coarse = network.encoders[1](network.downs[0](fine))
        x = network.middle_blks(network.downs[1](coarse))
        x = network.decoders[0](twice_the_size(network.ups[0][0](x)) + coarse)
        x = network.decoders[1](twice_the_size(network.ups[1][0](x)) + fine)
        torch.testing.assert_close(network(image), image + network.ending(x), rtol=0, atol=1e-5)


def test_restormer_attends_between_channels() -> None:
    """Its first block with explicit sums, in float64."""
    network = stirred(build("restormer", **LITTLE["restormer"] | {"heads": [2, 2, 4, 8]})).double()
    attention = network.get_submodule("encoder_level1.0.attn")
    x = torch.rand(1, 8, 4, 5, dtype=torch.float64)
    query, key, value = attention.qkv_dwconv(attention.qkv(x))[0].flatten(1).split(8)
    made = torch.zeros(8, 20, dtype=torch.float64)
    for head in range(2):
        rows = range(4 * head, 4 * head + 4)
        for a in rows:
            cosines = torch.stack([(query[a] @ key[b]) / (query[a].norm() * key[b].norm()) for b in rows])
            weights = torch.exp(cosines * attention.temperature[head, 0, 0])
            made[a] = sum(weight * value[b] for weight, b in zip(weights / weights.sum(), rows, strict=True))
    torch.testing.assert_close(attention(x), attention.project_out(made.view(1, 8, 4, 5)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layer_norm_is_that_of_every_pixel(memory_format: torch.memory_format) -> None:
    norm = stirred(LayerNorm2d(5)).double()
    x = torch.randn(2, 5, 3, 4, dtype=torch.float64).to(memory_format=memory_format)
    mean, variance = x.mean(1, keepdim=True), x.var(1, keepdim=True, unbiased=False)
    expected = (x - mean) / (variance + 1e-6).sqrt()
    expected = expected * norm.weight.view(1, -1, 1, 1) + norm.bias.view(1, -1, 1, 1)
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-12)


def test_layer_norm_has_statistics_of_float32_under_autocast_and_in_bfloat16() -> None:
    """Features far from zero, whose squares bfloat16 (8 bits) cannot tell apart."""
    norm = LayerNorm2d(64)
    x = 100 + torch.randn(1, 64, 4, 4)
    with torch.autocast("cpu", torch.bfloat16):
        answer = norm(x)
    assert answer.dtype == torch.float32
    assert torch.equal(answer, norm(x))
    rounded = x.bfloat16()
    exact = norm(rounded.float())
    error = (norm.bfloat16()(rounded).float() - exact).abs().max() / exact.abs().max()
    assert error < 2**-8


def test_gray_dncnn_restores_every_channel_by_itself() -> None:
    network = stirred(build("dncnn", **LITTLE["dncnn"]))
    image = torch.rand(2, 3, 6, 5)
    with torch.inference_mode():
        apart = torch.cat([network(image[:, channel : channel + 1]) for channel in range(3)], 1)
        torch.testing.assert_close(network(image), apart, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("nafnett", {}, "nafnet"),
        ("nafnet", {"widht": 16}, "width"),
        ("nafnet", {"encoder": [1, 1], "decoder": [1]}, r"model\.encoder=\[1, 1\].*model\.decoder=\[1\]"),
        ("restormer", {"heads": [1, 2, 4]}, "4 entries"),
        ("restormer", {"heads": [5, 2, 4, 8]}, "divide the widths"),
        ("dncnn", {"layers": 1}, r"model\.layers=1"),
    ],
)
def test_impossible_settings_are_refused(name: str, options: dict[str, object], told: str) -> None:
    with pytest.raises(BenchmarkError, match=told):
        build(name, **options)
