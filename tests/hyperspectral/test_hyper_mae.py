"""HyperMAE: what is hidden, what is never embedded, what the decoder knows of positions, and its loss against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.models.hyperspectral.hyper_mae import HyperMAE, Visible
from benchmarks.models.hyperspectral.less_attention import AttentionShape
from benchmarks.models.hyperspectral.less_encoder import Encoder, Geometry, Layout
from benchmarks.models.hyperspectral.reconstruction_loss import reconstruction_loss
from benchmarks.models.hyperspectral.tokens import patches_of

RADAR = (5500.0, 5700.0)


def made(position: str = "rope", radius: float | None = None, radar: tuple[float, ...] = (), operator: str = "less",
         **settings: object) -> HyperMAE:  # fmt: skip
    torch.manual_seed(0)
    encoder = Encoder(
        AttentionShape(32, 2, 4),
        Geometry(position, (400.0, 2500.0), 2, 10.0, radius),
        2,
        operator,
        radar=radar,
    )
    return HyperMAE(encoder, **{"decoder_dim": 32, "decoder_depth": 2, "decoder_heads": 2} | settings).eval()


def cube(bands: int, side: int = 8, samples: int = 2) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(bands)
    return torch.randn(samples, bands, side, side, generator=generator), torch.linspace(450, 2400, bands)


@torch.no_grad()
def test_as_many_bands_and_positions_are_hidden_as_the_ratios_say() -> None:
    network = made(channel_ratio=0.5, position_ratio=0.75)
    found = network(*cube(13, samples=5))
    assert found.prediction.shape == found.target.shape == (5, 13, 16, 4)
    assert found.hidden_channels.sum(1).tolist() == [13 - 6] * 5
    assert found.hidden_positions.sum(1).tolist() == [12] * 5
    assert len({tuple(row.tolist()) for row in found.hidden_positions}) > 1
    assert len({tuple(row.tolist()) for row in found.hidden_channels}) > 1
    assert made()(*cube(5)).hidden_channels.sum(1).tolist() == [3, 3]  # two bands stay at least
    assert made()(*cube(1, side=2)).hidden_channels.sum() == 0  # and the only one there is


def test_a_training_step_takes_a_fifth_to_a_third_of_the_bands_in_order() -> None:
    network = made(sampling=(0.7, 0.8)).train()
    x, wavelengths = cube(120, side=2, samples=1)
    steps = [network.sampled(x, wavelengths) for _ in range(200)]
    assert {len(kept) for _, kept in steps} == set(range(24, 37))
    for part, kept in steps[:5]:
        assert torch.equal(part, x[:, torch.isin(wavelengths, kept)])
        assert torch.equal(kept, kept.sort().values)
    assert network.eval().sampled(x, wavelengths)[0] is x
    assert made(sampling=None).train().sampled(x, wavelengths)[0] is x


@pytest.mark.parametrize("position", ["rope", "sincos"])
@torch.no_grad()
def test_hidden_patches_are_never_embedded_and_nothing_changes_by_it(position: str) -> None:
    network = made(position)
    x, wavelengths = cube(8)
    embedded: list[int] = []
    network.encoder.tokens.optical.register_forward_hook(
        lambda _, inputs, __: embedded.append(inputs[0][..., 0].numel())
    )
    visible = network.draw(2, 16, torch.arange(8))
    network(x, wavelengths, visible)
    assert embedded == [2 * 2 * 4]

    # Upstream's way: all patches are embedded, then the visible ones are taken.
    patches, sample = patches_of(x, 2), torch.arange(2)[:, None, None]
    index = (sample, visible.channels[:, :, None], visible.positions[:, None])
    bands = wavelengths[visible.channels]
    whole = network.encoder.tokens.embed(patches, wavelengths[None])[index]
    torch.testing.assert_close(network.encoder.tokens.embed(patches[index], bands), whole, rtol=0, atol=1e-6)


@torch.no_grad()
def test_nothing_hidden_reaches_a_prediction() -> None:
    network = made()
    x, wavelengths = cube(6)
    visible = Visible(torch.tensor([[0, 3], [1, 2]]), torch.tensor([[0, 5, 6, 15], [2, 3, 8, 9]]))
    before = network(x, wavelengths, visible)
    seen = torch.zeros_like(before.target, dtype=torch.bool)
    for sample in range(2):
        for band in visible.channels[sample]:
            seen[sample, band, visible.positions[sample]] = True
    assert torch.equal(seen[..., 0], ~(before.hidden_channels[:, :, None] | before.hidden_positions[:, None]))
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(9))
    hidden = torch.nn.functional.pixel_shuffle(
        seen.view(2, 6, 4, 4, 4).permute(0, 1, 4, 2, 3).reshape(2, 24, 4, 4).float(), 2
    ).bool()
    after = network(torch.where(hidden, x, noise), wavelengths, visible)
    assert torch.equal(after.prediction, before.prediction)
    assert not torch.equal(network(noise, wavelengths, visible).prediction, before.prediction)


@pytest.mark.parametrize("operator", ["less", "additive", "axial", "full"])
@torch.no_grad()
def test_a_decoder_without_rotation_answers_the_same_at_all_hidden_positions(operator: str) -> None:
    """In double precision, so that what is left of a spread is that of the order of sums."""
    spreads = {}
    for rotated in (True, False):
        network = made(operator=operator, rotary_decoder=rotated).double()
        x, wavelengths = cube(8)
        found = network(x.double(), wavelengths.double())
        spreads[rotated] = [
            float((answers := found.prediction[sample][:, found.hidden_positions[sample]]).std(1).max() / answers.std())
            for sample in range(2)
        ]
    assert max(spreads[False]) < 1e-12
    assert min(spreads[True]) > 1e-5


@torch.no_grad()
def test_a_decoder_of_sums_knows_positions() -> None:
    found = made("sincos")(*cube(8))
    assert float(found.prediction[0][:, found.hidden_positions[0]].std(1).min()) > 1e-3


def test_a_perception_field_wants_one_choice_of_positions_for_all_samples() -> None:
    network = made(radius=40.0)
    x, wavelengths = cube(6, samples=3)
    found = network(x, wavelengths)
    assert found.hidden_positions.shape == (1, 16)
    assert found.hidden_channels.shape == (3, 6)
    apart = Visible(torch.tensor([[0, 1]]).expand(3, -1), torch.tensor([[0, 1], [2, 3], [4, 5]]))
    with pytest.raises(ValueError, match="one choice"):
        network(x, wavelengths, apart)
    # The field is that of the positions that are left.
    mask = network.encoder.geometry._mask(Layout(wavelengths[None], (4, 4), torch.tensor([[0, 3, 12]])))
    assert mask is not None
    assert mask.int().tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]


def plain_loss(prediction: np.ndarray, target: np.ndarray, channels: np.ndarray, positions: np.ndarray) -> float:
    error = ((prediction - target) ** 2).mean(-1)
    by_position = [error[b, :, n].mean() for b, n in zip(*np.nonzero(positions), strict=True)]
    by_channel = [error[b, c].mean() for b, c in zip(*np.nonzero(channels), strict=True)]
    return float(np.mean(by_position) + np.mean(by_channel))


def drawn() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    prediction, target = torch.randn(2, 3, 5, 6, 4, generator=generator, dtype=torch.float64)
    channels, positions = (torch.rand(3, size, generator=generator) < 0.6 for size in (5, 6))
    return prediction, target, channels, positions


def test_the_loss_averages_over_hidden_positions_and_over_hidden_bands() -> None:
    prediction, target, channels, positions = drawn()
    parts = tuple(part.numpy() for part in (prediction, target, channels, positions))
    assert float(reconstruction_loss(prediction, target, channels, positions)) == pytest.approx(plain_loss(*parts))
    radar = torch.tensor([False, True, False, False, True])
    groups = [
        plain_loss(parts[0][:, group], parts[1][:, group], parts[2][:, group], parts[3])
        for group in (~radar.numpy(), radar.numpy())
    ]
    found = reconstruction_loss(prediction, target, channels, positions, radar)
    assert float(found) == pytest.approx(np.mean(groups))


def test_other_forms_of_the_loss() -> None:
    prediction, target, channels, positions = drawn()
    hidden = (channels[:, :, None] | positions[:, None]).numpy()
    error = ((prediction - target) ** 2).mean(-1).numpy()
    found = reconstruction_loss(prediction, target, channels, positions, weigh="hidden")
    assert float(found) == pytest.approx(error[hidden].mean())
    found = reconstruction_loss(prediction, target, channels, positions, weigh="hidden", absolute=True)
    assert float(found) == pytest.approx((prediction - target).abs().mean(-1).numpy()[hidden].mean())
    pixels = target.numpy()
    normal = (pixels - pixels.mean(-1, keepdims=True)) / np.sqrt(pixels.var(-1, ddof=1, keepdims=True) + 1e-6)
    found = reconstruction_loss(prediction, target, channels, positions, normalise=True)
    parts = tuple(part.numpy() for part in (channels, positions))
    assert float(found) == pytest.approx(plain_loss(prediction.numpy(), normal, *parts))
    with pytest.raises(BenchmarkError, match="axes"):
        reconstruction_loss(prediction, target, channels, positions, weigh="axis")


def test_pixels_without_data_do_not_count() -> None:
    prediction, target, channels, positions = drawn()
    target[:, :, :, 1] = 0
    kept = [0, 2, 3]
    found = reconstruction_loss(prediction, target, channels, positions, skip_zeros=True)
    expected = reconstruction_loss(prediction[..., kept], target[..., kept], channels, positions)
    torch.testing.assert_close(found, expected)
    target[0, 2] = 0  # a band of one sample has none at all
    found = reconstruction_loss(prediction, target, channels, positions, weigh="hidden", skip_zeros=True)
    hidden = channels[:, :, None] | positions[:, None]
    hidden[0, 2] = False
    torch.testing.assert_close(found, ((prediction - target) ** 2)[..., kept].mean(-1)[hidden].mean())


def test_a_group_that_does_not_enter_is_hidden_and_predicted() -> None:
    network = made(radar=RADAR, channel_ratio=0.5)
    x, wavelengths = cube(6)
    wavelengths[[1, 4]] = torch.tensor(RADAR)
    found = network(x, wavelengths, enters="optical")
    assert found.hidden_channels[:, [1, 4]].all()
    assert found.hidden_channels.sum(1).tolist() == [4, 4]
    network.loss(found).backward()
    assert network.radar is not None
    assert network.radar.weight.grad.any()
    assert not network.encoder.tokens.radar.fc1.weight.grad.any()
    with pytest.raises(ValueError, match="none of the wavelengths"):
        network(*cube(6), enters="radar")


def test_gradients_reach_every_parameter() -> None:
    network = made(sampling=(0.0, 0.2)).train()
    network.loss(network(*cube(12))).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="channel_ratio"):
        made(channel_ratio=1.0)
    with pytest.raises(ValueError, match="sampling"):
        made(sampling=(0.8, 0.7))
    with pytest.raises(BenchmarkError, match="optical"):
        made()(*cube(4), enters="optic")
    with pytest.raises(BenchmarkError, match="axes"):
        made(weigh="axis")
    with pytest.raises(ValueError, match="position=rope"):
        made(decoder_dim=48, decoder_heads=2, decoder_depth=1)
