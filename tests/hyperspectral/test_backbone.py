"""Networks of timm as backbones: sizes of windows and maps, the band rule, and what may not be built."""

from __future__ import annotations

import pytest
import timm
import torch
from torch.nn.functional import interpolate

from benchmarks.errors import BenchmarkError
from benchmarks.models.hyperspectral.backbone import Backbone

OWN = [450.0, 550.0, 650.0, 850.0]


def backbone(window: int = 8, **settings: object) -> Backbone:
    torch.manual_seed(0)
    return Backbone(5, window, OWN, **settings).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("network", "stage", "scale", "window", "grid"),
    [
        ("test_resnet", 1, None, 7, 7),
        ("test_resnet", 1, 2, 6, 3),
        ("test_convnext2", 0, None, 5, 5),
        ("test_convnext2", 1, 2, 8, 2),
        ("test_efficientnet", 0, 1, 6, 3),
        ("test_vit", 1, None, 3, 3),
        ("test_vit", 0, 8, 6, 3),
        ("vit_small_patch14_dinov2", 0, 7, 4, 2),
        ("vgg11", 5, 1, 32, 1),
    ],
)
def test_every_pixel_of_a_window_is_answered(network: str, stage: int, scale: int, window: int, grid: int) -> None:
    made = backbone(window, network=network, stage=stage, scale=scale)
    cube, wavelengths = torch.rand(2, 4, window, window), torch.tensor(OWN)
    with torch.no_grad():
        assert made.embedding(cube, wavelengths).shape[2:] == (grid, grid)
        assert made(cube, wavelengths).shape == (2, 5, window, window)
        other = window + 3 * made.multiple
        assert made(torch.rand(1, 4, other, window), wavelengths).shape == (1, 5, other, window)


def test_a_patch_that_is_no_power_of_two_has_the_linear_head() -> None:
    settings = {"network": "vit_small_patch14_dinov2", "stage": 0, "scale": 2}
    with pytest.raises(ValueError, match="patch=7 is no power of two, as head=conv needs; head=linear takes any"):
        backbone(7, **settings)
    made = backbone(7, **settings, head="linear")
    assert made(torch.rand(1, 4, 7, 7), torch.tensor(OWN)).shape == (1, 5, 7, 7)


def test_features_are_those_of_the_whole_network_of_timm_on_enlarged_windows() -> None:
    made = backbone(network="test_resnet", stage=2, scale=4)
    torch.manual_seed(0)
    whole = timm.create_model("test_resnet", in_chans=4, features_only=True).eval()
    cube = torch.rand(2, 4, 8, 8)
    with torch.no_grad():
        expected = whole(interpolate(cube, size=(32, 32), mode="bilinear"))[2]
        torch.testing.assert_close(made.embedding(cube, torch.tensor(OWN)), expected)
    assert sum(value.numel() for value in made.body.parameters()) < sum(value.numel() for value in whole.parameters())


def test_channels_are_filled_by_the_band_rule() -> None:
    cube, given = torch.rand(2, 3, 8, 8), torch.tensor([470.0, 640.0, 2000.0])
    made = backbone(network="test_resnet", stage=1)
    with torch.no_grad():
        filled = cube[:, [0, 0, 1, 1]]
        torch.testing.assert_close(made(cube, given), made(filled, torch.tensor(OWN)))
        zero = backbone(network="test_resnet", stage=1, band_rule="zero")
        torch.testing.assert_close(zero(cube, given), zero(torch.zeros_like(filled), torch.tensor(OWN)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"stage": 5}, "stage=5 must be from 0 to 4, the feature maps of resnet18"),
        ({"scale": 3}, "scale=3 must divide 4, the reduction of stage 1 of resnet18"),
        ({"scale": 1, "window": 6}, "patch=4 must divide the training window of 6 pixels"),
        ({"network": "inception_v3", "stage": 0}, r"the map of inception_v3 is \[1, 64, .*it trims its edges"),
        ({"network": "coat_lite_tiny"}, "coat_lite_tiny takes no windows of 8 pixels enlarged 8 times"),
    ],
)
def test_what_does_not_go_together_is_told_before_any_training(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        backbone(**settings)


def test_unknown_names_are_told_and_none_is_downloaded() -> None:
    with pytest.raises(BenchmarkError, match=r"'resnet81'\. Did you mean 'resnet\d+'\? Type model\.network=NAME"):
        backbone(network="resnet81")
    with pytest.raises(BenchmarkError, match="Unknown network of model backbone: 'hf_hub:someone/something'"):
        backbone(network="hf_hub:someone/something")
    with pytest.raises(BenchmarkError, match="Unknown head of model backbone: 'cnov'"):
        backbone(head="cnov")
