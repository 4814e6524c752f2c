"""The prior's network: its official size and names, any image, and checkpoints that load strictly or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import registry
from benchmarks.errors import BenchmarkError
from benchmarks.models.hsi_restoration.build import build
from benchmarks.models.hsi_restoration.published import inferred, load_published, prior_state
from benchmarks.models.hsi_restoration.unet import UNet


def configured(model: str) -> UNet:
    settings = registry.entry("model", model).settings
    own = {key: value for key, value in settings.items() if key not in registry.HEADER["model"] | {"name"}}
    with torch.device("meta"):
        network = build(model, **own)
    assert isinstance(network, UNet)
    return network


@pytest.mark.parametrize(("model", "parameters", "tensors"), [("sr3", 391_048_067, 362), ("prior_tiny", 250_083, 147)])
def test_networks_have_the_published_sizes(model: str, parameters: int, tensors: int) -> None:
    listed = list(configured(model).parameters())
    assert (sum(each.numel() for each in listed), len(listed)) == (parameters, tensors)


def test_the_official_network_has_the_official_names() -> None:
    state = configured("sr3").state_dict()
    shapes = {
        "noise_level_mlp.1.weight": (512, 128),
        "noise_level_mlp.3.bias": (128,),
        "downs.0.weight": (128, 3, 3, 3),
        "downs.1.res_block.noise_func.noise_func.0.weight": (128, 128),
        "downs.3.conv.weight": (128, 128, 3, 3),
        "downs.4.res_block.res_conv.weight": (256, 128, 1, 1),
        "downs.13.attn.qkv.weight": (3072, 1024, 1, 1),
        "mid.0.attn.out.bias": (1024,),
        "mid.1.res_block.block2.block.3.weight": (1024, 1024, 3, 3),
        "ups.0.res_block.block1.block.0.weight": (2048,),
        "ups.3.conv.bias": (1024,),
        "final_conv.block.3.weight": (3, 128, 3, 3),
    }
    assert {name: tuple(state[name].shape) for name in shapes} == shapes
    # Attention stands where 256 pixels have become 16, in both halves, and in the middle: nowhere else.
    assert {name.split(".attn")[0] for name in state if ".attn." in name} == {
        "downs.13", "downs.14", "mid.0", "ups.0", "ups.1", "ups.2",
    }  # fmt: skip


def tiny(**changes: object) -> UNet:
    torch.manual_seed(0)
    return UNet(**{"base": 8, "mults": (1, 2), "groups": 4, "middle_attention": True, **changes}).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(8, 8), (9, 14), (1, 3)])
def test_images_of_any_size_are_answered_and_samples_do_not_see_each_other(size: tuple[int, int]) -> None:
    network, image = tiny(), torch.randn(3, 3, *size)
    level = torch.tensor([0.2, 0.5, 0.9])
    together = network(image, level)
    assert together.shape == image.shape
    alone = torch.cat([network(image[i : i + 1], level[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(together[:1], network(image[:1], level[2:]))


def test_attention_is_a_softmax_over_pixels() -> None:
    layer = tiny().mid[0].attn
    x = torch.randn(2, 16, 3, 4)
    query, key, value = layer.qkv(layer.norm(x)).chunk(3, 1)
    scores = torch.einsum("nchw,ncyx->nhwyx", query, key) / 16**0.5
    weights = scores.flatten(3).softmax(-1).view_as(scores)
    expected = layer.out(torch.einsum("nhwyx,ncyx->nchw", weights, value)) + x
    torch.testing.assert_close(layer(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("wrap", ["bare", "state_dict", "ema", "model"])
def test_a_checkpoint_loads_from_whatever_it_is_wrapped_in(tmp_path: Path, wrap: str) -> None:
    theirs = tiny()
    state = {f"denoise_fn.{name}": value for name, value in theirs.state_dict().items()}
    state |= {
        name: torch.zeros(10)
        for name in ("betas", "alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "posterior_mean_coef2")
    }
    torch.save(state if wrap == "bare" else {wrap: state}, tmp_path / "gen.pth")
    ours = UNet(base=8, mults=(1, 2), groups=4, middle_attention=True)
    load_published(ours, tmp_path / "gen.pth")
    image, level = torch.randn(1, 3, 8, 8), torch.tensor([0.5])
    assert torch.equal(ours.eval()(image, level), theirs(image, level))
    assert inferred(prior_state(tmp_path / "gen.pth")) == {"base": 8, "mults": [1, 2], "res_blocks": 1}


def test_a_checkpoint_that_does_not_fit_is_refused_with_all_names(tmp_path: Path) -> None:
    network = tiny()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = dict(before)
    state["mid.0.res_block.block1.block.9.weight"] = state.pop("mid.0.res_block.block1.block.3.weight")
    state["final_conv.block.3.bias"] = torch.zeros(4)
    torch.save(state, tmp_path / "wrong.pth")
    with pytest.raises(BenchmarkError) as error:
        load_published(network, tmp_path / "wrong.pth")
    for part in (
        "1 missing: mid.0.res_block.block1.block.3.weight",
        "1 unexpected: mid.0.res_block.block1.block.9.weight",
        "1 of another shape: final_conv.block.3.bias (4,) for (3,)",
        "base=8, mults=[1, 2], res_blocks=1",
    ):
        assert part in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(BenchmarkError, match="no plain state dict"):
        load_published(network, tmp_path / "text.pth")
