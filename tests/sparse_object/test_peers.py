"""ACM and U-Net: sizes, gradients and batches of one; ACM's modulation against NumPy."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from benchmarks import runner
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.models.padding import padded
from benchmarks.models.size import unique_parameters
from benchmarks.models.sparse_object.acm import ACM, Modulation
from benchmarks.models.sparse_object.blocks import Norm
from benchmarks.models.sparse_object.build import NETWORKS, SOLVERS
from benchmarks.solver import NetworkSolver
from benchmarks.sparse_object.task import SparseObject
from benchmarks.spec import RunSpec

SCHEMA = {"height": 20, "width": 20, "centre": 0.0, "spread": 255.0, "crop": 0}
SIZES = [(1, 1), (3, 5), (16, 16), (17, 13), (33, 70)]
SMALL = {
    "rpcanet": {"stages": 2, "channels": 4},
    "rpcanet_pp": {"stages": 2, "channels": 4, "sparse_depth": 1},
    "acm": {"channels": 16, "blocks": 1},
    "unet": {},
}


def network(name: str) -> torch.nn.Module:
    if name == "unet":
        pytest.importorskip("segmentation_models_pytorch", reason="the extra `unet` is not installed")
    torch.manual_seed(0)
    return SparseObject().network(name, SMALL.get(name, {}), SCHEMA)


def batch_of(images: int, height: int, width: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (images, height, width), generator=generator, dtype=torch.uint8)
    return {"image": image, "mask": image > 230}


@pytest.mark.parametrize("name", [*NETWORKS, *SOLVERS])
def test_any_size_is_answered_by_its_own_size_down_to_one_pixel(name: str) -> None:
    made = network(name).eval()
    with torch.no_grad():
        for height, width in SIZES:
            soft = SparseObject().predict(made, batch_of(2, height, width))["probability"]
            assert soft.shape == (2, height, width)
            assert ((soft >= 0) & (soft <= 1)).all()


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(9, 9), (17, 13), (32, 32)])
def test_one_image_trains_every_parameter(name: str, size: tuple[int, int]) -> None:
    made = network(name).train()
    loss = SparseObject().loss(made, batch_of(1, *size))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(parameter.grad is not None for parameter in made.parameters())
    assert all(torch.isfinite(value).all() for value in made.state_dict().values())


@pytest.mark.parametrize(("name", "rate", "steps"), [("acm", 3e-2, 40), ("unet", 3e-3, 12)])
def test_training_on_images_lowers_their_loss(name: str, rate: float, steps: int) -> None:
    made, task = network(name).train(), SparseObject(flips=False)
    batch = batch_of(2, 32, 32)
    batch["mask"] = torch.zeros_like(batch["mask"])
    batch["mask"][:, 10:20, 10:20] = True
    batch["image"] = (255 * batch["mask"]).to(torch.uint8)
    optimizer = torch.optim.Adam(made.parameters(), rate)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = task.loss(made, batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_acm_has_the_size_that_tables_of_the_field_give() -> None:
    assert unique_parameters(ACM()) == 397_823
    assert round(unique_parameters(ACM()) / 1e6, 3) == 0.398


def test_unet_has_the_size_that_its_page_gives() -> None:
    assert unique_parameters(network("unet")) == 14_321_937


def test_modulation_weighs_shallow_by_deep_and_deep_by_shallow() -> None:
    torch.manual_seed(1)
    module = Modulation(8).eval()
    for norm in module.modules():
        if isinstance(norm, Norm):
            norm.running_mean.uniform_(-0.2, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
            torch.nn.init.uniform_(norm.bias, -0.2, 0.2)
    shallow, deep = torch.randn(2, 1, 8, 5, 6)

    def context(x: np.ndarray, layers: torch.nn.Sequential) -> np.ndarray:
        """sigmoid(BN(W2 relu(BN(W1 x)))) of columns x [channels, places]."""
        first, norm_1, _, second, norm_2, _ = list(layers)[-6:]
        for number, (conv, norm) in enumerate(((first, norm_1), (second, norm_2))):
            x = conv.weight[:, :, 0, 0].double().numpy() @ x + conv.bias.double().numpy()[:, None]
            mean, var, scale, shift = (
                getattr(norm, key).double().numpy()[:, None]
                for key in ("running_mean", "running_var", "weight", "bias")
            )
            x = (x - mean) / np.sqrt(var + norm.eps) * scale + shift
            x = np.maximum(x, 0) if number == 0 else expit(x)
        return x

    with torch.no_grad():
        X, Y = (part[0].double().numpy().reshape(8, 30) for part in (shallow, deep))
        mixed = context(Y.mean(1, keepdims=True), module.top_down) * X + context(X, module.bottom_up) * Y
        expected = module.after(torch.from_numpy(mixed.reshape(1, 8, 5, 6)).float())
        torch.testing.assert_close(module(shallow, deep), expected, atol=1e-5, rtol=1e-5)


def test_a_norm_of_one_value_uses_and_keeps_its_running_statistics() -> None:
    norm, plain = Norm(3), torch.nn.BatchNorm2d(3)
    one, many = torch.randn(1, 3, 1, 1), torch.randn(4, 3, 2, 2)
    torch.testing.assert_close(norm(many), plain(many))
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    torch.testing.assert_close(norm(one), plain.eval()(one))
    assert all(torch.equal(value, before[name]) for name, value in norm.state_dict().items())


def test_padding_repeats_edges_and_is_none_where_the_size_fits() -> None:
    image = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert padded(image, 4)[0, 0].tolist() == [[0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert padded(image, 2, mode="constant").shape == (1, 1, 2, 4)
    assert padded(image, 1) is image
    assert padded(image, 4, least=5).shape == (1, 1, 8, 8)


def test_acm_trains_by_the_shared_trainer_one_image_a_step_and_is_compressed(tmp_path: Path) -> None:
    words = [
        "task=sparse_object", "model=acm", "model.channels=8", "model.blocks=1", "method=svd", "method.rank=1",
        "scale=smoke", "data.images=10", "data.size=32", "trainer.max_epochs=1", "trainer.batch_size=1", "finetune.max_epochs=0",
        "trainer.progress=false", "trainer.accelerator=cpu", "profile=none", "pictures=false",
    ]  # fmt: skip
    store = Store(tmp_path / "results")
    record = runner.run(RunSpec.of(words), store)
    assert record.status == "ok"
    base, small = (
        NetworkSolver.load(SparseObject(), store.folder(run) / runner.SOLVER / "all").network
        for run in (record.base_run or "", record.run_id)
    )
    assert unique_parameters(small) < 0.5 * unique_parameters(base)


def test_the_missing_package_of_unet_is_named_with_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def absent(name: str, *rest, **options):
        if name.startswith("segmentation_models_pytorch"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(BenchmarkError, match="pip install segmentation-models-pytorch"):
        NETWORKS["unet"]()


def test_an_unknown_encoder_is_answered_with_the_nearest() -> None:
    pytest.importorskip("segmentation_models_pytorch", reason="the extra `unet` is not installed")
    with pytest.raises(BenchmarkError, match="Did you mean 'resnet1"):
        NETWORKS["unet"](encoder="resnet17")
