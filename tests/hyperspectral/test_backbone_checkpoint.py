"""Checkpoints for backbones: names as trainers write them, kernels for other bands, what does not fit, and the record of it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.models.hyperspectral.backbone import Backbone
from benchmarks.models.hyperspectral.backbone_checkpoint import load_checkpoint
from benchmarks.runner import load_task, run
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec

OWN = [450.0, 550.0, 650.0, 850.0, 1600.0]
SENTINEL = [665.0, 842.0, 490.0]
FIRST = "conv1.0.weight"
"""The first convolution of timm's test_resnet."""
TINY = (
    "task=hyperspectral", "scale=smoke", "data.tiles=8", "model=backbone", "model.network=test_resnet", "model.stage=1",
    "trainer.max_epochs=0", "finetune.max_epochs=1", "trainer.progress=false", "trainer.accelerator=cpu",
    "trainer.threads=1", "profile=none", "pictures=false", "companions=false",
)  # fmt: skip


def backbone(seed: int = 1, wavelengths: list[float] = OWN, **settings: object) -> Backbone:
    torch.manual_seed(seed)
    return Backbone(4, 8, wavelengths, **{"network": "test_resnet", "stage": 2, **settings}).eval()  # type: ignore[arg-type]


def whole(bands: int, network: str = "test_resnet") -> dict[str, Tensor]:
    torch.manual_seed(7)
    return timm.create_model(network, in_chans=bands, num_classes=10).state_dict()


@pytest.mark.parametrize("network", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("form", ["plain", "lightning", "parallel", "safetensors"])
def test_features_are_those_of_the_network_that_was_saved(network: str, form: str, tmp_path: Path) -> None:
    state, path = whole(5, network), tmp_path / f"weights.{'safetensors' if form == 'safetensors' else 'pth'}"
    if form == "safetensors":
        save_file(state, path)
    else:
        prefix = {"plain": "", "lightning": "model.backbone.", "parallel": "module."}[form]
        named = {f"{prefix}{name}": value for name, value in state.items()}
        torch.save({"state_dict": named, "epoch": 3} if form == "lightning" else named, path)
    made = backbone(network=network)
    head = {name: value.clone() for name, value in made.head.state_dict().items()}
    load_checkpoint(made, path)
    sized = {"dynamic_img_size": True} if network == "test_vit" else {}
    saved = timm.create_model(network, in_chans=5, num_classes=10, **sized)
    saved.load_state_dict(state)
    cube = torch.rand(2, 5, 8, 8)
    with torch.no_grad():
        seen = torch.nn.functional.interpolate(cube, scale_factor=float(made.scale), mode="bilinear")
        expected = saved.eval().forward_intermediates(seen, indices=[2], intermediates_only=True)[0]
        torch.testing.assert_close(made.embedding(cube, torch.tensor(OWN)), expected)
    assert all(torch.equal(made.head.state_dict()[name], value) for name, value in head.items())


def test_every_band_begins_with_the_kernel_of_the_nearest_one(tmp_path: Path) -> None:
    state = whole(3)
    torch.save(state, tmp_path / "rgb.pth")
    made = backbone(checkpoint_bands=SENTINEL)
    load_checkpoint(made, tmp_path / "rgb.pth")
    kernel = state[FIRST].numpy()
    expected = np.empty((len(kernel), 5, *kernel.shape[2:]), np.float32)
    for band, wavelength in enumerate(OWN):
        nearest = min(range(3), key=lambda other: abs(SENTINEL[other] - wavelength))
        expected[:, band] = kernel[:, nearest] * 3 / 5
    np.testing.assert_allclose(made.body.state_dict()[FIRST].numpy(), expected, rtol=1e-6)
    assert [min(range(3), key=lambda other: abs(SENTINEL[other] - w)) for w in OWN] == [2, 2, 0, 1, 1]
    others = made.body.state_dict().keys() - {FIRST}
    assert all(torch.equal(made.body.state_dict()[name], state[name]) for name in others)


def test_equal_bands_in_another_order_are_put_in_order_where_wavelengths_are_typed(tmp_path: Path) -> None:
    torch.save(whole(5), tmp_path / "five.pth")
    plain, turned = backbone(), backbone(checkpoint_bands=OWN[::-1])
    for made in (plain, turned):
        load_checkpoint(made, tmp_path / "five.pth")
    assert torch.equal(turned.body.get_parameter(FIRST), plain.body.get_parameter(FIRST).flip(1))


def test_numbers_of_bands_are_named_where_they_differ(tmp_path: Path) -> None:
    path = tmp_path / "three.pth"
    torch.save(whole(3), path)
    with pytest.raises(
        BenchmarkError, match=r"was made for 3 bands, and .* trained on 5\. .*model\.checkpoint_bands=\["
    ):
        load_checkpoint(backbone(), path)
    with pytest.raises(BenchmarkError, match=r"checkpoint_bands has 2 wavelengths, and .* made for 3 bands"):
        load_checkpoint(backbone(checkpoint_bands=[500, 600]), path)


def test_what_does_not_fit_is_listed_and_changes_nothing(tmp_path: Path) -> None:
    path, state = tmp_path / "odd.pth", whole(5)
    own = backbone().body.state_dict()
    gone = next(name for name in own if name != FIRST)
    del state[gone]
    more = {name: torch.zeros(1) for name in ("projector.weight", "head.fc.extra", "fc.2.weight")}
    torch.save(state | more, path)
    made = backbone()
    with pytest.raises(BenchmarkError) as refused:
        load_checkpoint(made, path)
    said = str(refused.value)
    assert f"1 missing: {gone}" in said
    assert "2 unexpected: head.fc.extra, projector.weight" in said
    assert "model.network=" in said
    assert all(torch.equal(value, own[name]) for name, value in made.body.state_dict().items())
    torch.save({"fc.weight": torch.zeros(1), "module.fc.weight": torch.ones(1)}, path)
    with pytest.raises(BenchmarkError, match=r"two tensors that are 'fc\.weight'"):
        load_checkpoint(made, path)
    (tmp_path / "no.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(BenchmarkError, match="is no safetensors file"):
        load_checkpoint(made, tmp_path / "no.safetensors")


def test_code_in_a_file_is_not_run(tmp_path: Path) -> None:
    torch.save({FIRST: re.compile("x")}, tmp_path / "code.pth")
    with pytest.raises(BenchmarkError, match="holds no plain state dict"):
        load_checkpoint(backbone(), tmp_path / "code.pth")


def test_a_run_begins_with_the_file_is_told_apart_by_its_content_and_can_do_without_it_later(tmp_path: Path) -> None:
    path, store = tmp_path / "start.pth", Store(tmp_path / "store")
    spec = RunSpec.of([*TINY, "method=none"])
    state = whole(14)
    torch.save(state, path)
    words = [*TINY, "method=none", f"model.checkpoint={path}"]
    begun = RunSpec.of(words)
    assert begun.key != spec.key
    copy = path.rename(tmp_path / "moved.pth")
    copied = RunSpec.of([*TINY, "method=none", f"model.checkpoint={copy}"])
    assert copied.key == begun.key
    record = run(copied, store)
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    assert record.provenance.pretrained == [{"name": "moved.pth", "sha256": digest}]
    copy.unlink()
    kept = NetworkSolver.load(load_task(spec), store.folder(record.run_id) / "solver" / "all").network
    assert all(torch.equal(value, state[name]) for name, value in kept.body.state_dict().items())
    torch.save({name: value + 1 for name, value in state.items()}, copy)
    assert RunSpec.of([*TINY, "method=none", f"model.checkpoint={copy}"]).key != begun.key


def test_files_that_are_not_there_and_two_kinds_of_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"model\.checkpoint=none\.pth cannot be read: No such file"):
        _ = RunSpec.of([*TINY, "method=none", "model.checkpoint=none.pth"]).key
    with pytest.raises(BenchmarkError, match="a network cannot have both"):
        _ = RunSpec.of([*TINY, "method=none", "model.checkpoint=none.pth", "weights=other.pth"]).key
