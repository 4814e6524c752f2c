"""Published weights load strictly, and restore as well as their authors' code does with them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks import registry
from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.errors import BenchmarkError
from benchmarks.models.restoration.build import build
from benchmarks.models.restoration.published import load_published

TINY = {"width": 4, "encoder": [1], "middle": 1, "decoder": [1]}
CARDS = ["dncnn_25", "prenet_rain100h", "prenet_rain100l", "prenet_rain1400"]


def psnr(restored: np.ndarray, clean: np.ndarray) -> float:
    """In decibels, of levels of 255."""
    return float(10 * np.log10(255**2 / np.mean((restored.astype(np.float64) - clean) ** 2)))


def expert(card_id: str, model: str, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """The model with the weights of a card, out of the mirror; the test is skipped where the mirror has none."""
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    card = load_card(card_id)
    name = card.published[model].file
    try:
        path = fetch(card, files=[name], progress=False)[name]
    except BenchmarkError as error:
        pytest.skip(f"the mirror has no {card_id}/{name}: {error}")
    header = registry.HEADER["model"] | {"name"}
    settings = registry.entry("model", model).settings
    network = build(model, **{key: value for key, value in settings.items() if key not in header})
    load_published(network, path)
    return network.eval()


def crops(mirror: Path, numbers: tuple[int, ...], side: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rainy and clean ones, uint8 [side, side, 3], of the upper left corner."""
    return [
        (
            np.array(Image.open(mirror / f"rain_bsd20/input_val/input{number}.png").convert("RGB"))[:side, :side],
            np.array(Image.open(mirror / f"rain_bsd20/label_val/norain{number}.png").convert("RGB"))[:side, :side],
        )
        for number in numbers
    ]


@torch.inference_mode()
def truncated(network: nn.Module, image: np.ndarray) -> np.ndarray:
    """The answer as PReNet's authors write it, uint8(255 x), which is not how this suite rounds."""
    answer = network(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)
    return (255 * answer[0].permute(1, 2, 0).clamp(0, 1).numpy()).astype(np.uint8)


@pytest.mark.parametrize(
    ("card", "model", "expected"),
    [
        ("prenet_rain1400", "prenet", 25.770),
        ("prenet_rain1400", "prenet_r", 26.006),
        ("prenet_rain1400", "prn_r", 26.198),
        ("prenet_rain100l", "prenet", 25.497),
    ],
)
def test_prenet_removes_rain_as_measured_on_five_pictures(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, card: str, model: str, expected: float
) -> None:
    network = expert(card, model, monkeypatch)
    pairs = crops(mirror, (1, 5, 10, 15, 20), 256)
    assert np.mean([psnr(rainy, clean) for rainy, clean in pairs]) == pytest.approx(23.691, abs=5e-4)
    found = [psnr(truncated(network, rainy), clean) for rainy, clean in pairs]
    assert np.mean(found) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize(
    ("card", "model", "expected"),
    [
        ("prenet_rain100l", "prenet_r", 26.4605),
        ("prenet_rain100l", "prn_r", 26.1769),
        ("prenet_rain100h", "prenet_r", 27.2803),
        ("prenet_rain100h", "prn_r", 27.2153),
    ],
)
def test_prenet_answers_as_the_authors_own_code(
    mirror: Path, monkeypatch: pytest.MonkeyPatch, card: str, model: str, expected: float
) -> None:
    """Figures of csdwren/PReNet @ 6d908d1 run on the same two crops, on a CPU."""
    network = expert(card, model, monkeypatch)
    pairs = crops(mirror, (1, 5), 128)
    assert np.mean([psnr(rainy, clean) for rainy, clean in pairs]) == pytest.approx(25.0374, abs=5e-5)
    found = [psnr(truncated(network, rainy), clean) for rainy, clean in pairs]
    assert np.mean(found) == pytest.approx(expected, abs=1e-3)


def test_dncnn_removes_noise_of_25_levels(mirror: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = expert("dncnn_25", "dncnn", monkeypatch)
    clean = np.array(Image.open(mirror / "set12/01.png"))[64:192, 64:192]
    noisy = clean + np.random.RandomState(0).normal(0, 25, clean.shape)
    with torch.inference_mode():
        answer = network(torch.from_numpy(noisy / 255).float().expand(1, 3, -1, -1))
    assert psnr(noisy, clean) == pytest.approx(20.266, abs=5e-4)
    for channel in (255 * answer[0].clamp(0, 1)).round().numpy():
        assert psnr(channel, clean) == pytest.approx(28.850, abs=2e-3)


@pytest.mark.parametrize("card_id", CARDS)
def test_cards_of_weights_name_models_of_the_task(card_id: str) -> None:
    card = load_card(card_id)
    assert card.task == []
    assert card.published.keys() <= set(registry.models_for("restoration"))
    assert card.published


@pytest.mark.parametrize("wrap", ["params", "params_ema", "state_dict", None])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_checkpoints_load_out_of_what_wraps_them(tmp_path: Path, wrap: str | None, prefix: str) -> None:
    made, network = build("nafnet", **TINY), build("nafnet", **TINY)
    state = {prefix + name: value for name, value in made.state_dict().items()}
    other = {"params": {}} if wrap == "params_ema" else {}
    torch.save({**other, wrap: state, "iter": 5} if wrap else state, tmp_path / "made.pth")
    load_published(network, tmp_path / "made.pth")
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in network.state_dict().items())


def test_what_does_not_fit_is_told_in_full_and_changes_nothing(tmp_path: Path) -> None:
    network = build("nafnet", **TINY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = {name: value + 1 for name, value in before.items()}
    del state["encoders.0.0.beta"], state["ending.bias"]
    state |= {"encoders.0.1.beta": torch.zeros(1), "intro.weight": torch.zeros(8, 3, 3, 3)}
    torch.save({"params": state}, tmp_path / "other.pth")
    told = (
        r"other\.pth does not fit this NAFNet\. 2 missing: encoders\.0\.0\.beta, ending\.bias; "
        r"1 unexpected: encoders\.0\.1\.beta; 1 of another shape: intro\.weight \(8, 3, 3, 3\) for \(4, 3, 3, 3\)\. "
        r"Choose model="
    )
    with pytest.raises(BenchmarkError, match=told):
        load_published(network, tmp_path / "other.pth")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_files_that_are_no_checkpoints_are_refused(tmp_path: Path) -> None:
    network = build("nafnet", **TINY)
    (tmp_path / "code.pth").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    torch.save({"model": network.state_dict()}, tmp_path / "wrapped.pth")
    for name in ("code", "list", "numbers", "wrapped"):
        with pytest.raises(
            BenchmarkError, match=rf"{name}\.pth holds no plain state dict.*params_ema, params, state_dict"
        ):
            load_published(network, tmp_path / f"{name}.pth")
