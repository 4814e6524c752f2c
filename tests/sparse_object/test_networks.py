"""RPCANet and RPCANet++ against a slow rendering in NumPy that knows nothing but published names, stage by stage."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.signal import correlate2d
from scipy.special import expit
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.size import unique_parameters
from benchmarks.models.sparse_object.contrast import Contrast
from benchmarks.models.sparse_object.published import load_published
from benchmarks.models.sparse_object.rpcanet import RPCANet
from benchmarks.models.sparse_object.rpcanet_pp import RPCANetPlusPlus, with_unused, without_unused

SLOPE = 0.1


class Rendering:
    """Layers by their names in a state dict, on maps [channels, h, w] in double precision."""

    def __init__(self, state: dict[str, torch.Tensor]) -> None:
        self.state = {name: value.double().numpy() for name, value in state.items()}

    def conv(self, x: np.ndarray, name: str) -> np.ndarray:
        weight, bias = self.state[f"{name}.weight"], self.state.get(f"{name}.bias")
        out = np.stack([sum(correlate2d(c, k, "same") for c, k in zip(x, row, strict=True)) for row in weight])
        return out if bias is None else out + bias[:, None, None]

    def norm(self, x: np.ndarray, name: str) -> np.ndarray:
        mean, var, scale, shift = (
            self.state[f"{name}.{key}"][:, None, None] for key in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-5) * scale + shift

    def stack(self, x: np.ndarray, name: str, norm: bool) -> np.ndarray:
        last = max(int(key.split(".")[-2]) for key in self.state if key.startswith(f"{name}."))
        for place in range(0, last, 3 if norm else 2):
            x = self.conv(x, f"{name}.{place}")
            x = np.maximum(self.norm(x, f"{name}.{place + 1}") if norm else x, 0)
        return self.conv(x, f"{name}.{last}")

    def decompose(self, image: np.ndarray, memory: bool) -> list[tuple[np.ndarray, ...]]:
        D, T, h, c = image[None], np.zeros_like(image)[None], None, None
        found = []
        for k in range(1 + max(int(name.split(".")[1]) for name in self.state)):
            at = f"decos.{k}"
            x = D - T
            if memory:
                f, h, c = self.memory(x, h, c, f"{at}.lowrank")
                B = x + f
            else:
                B = x + self.stack(x, f"{at}.lowrank.convs", norm=True)
            x = T + D - B
            w = self.prior(x, f"{at}.sparse.contrast") if memory else 0
            T = x - self.state[f"{at}.sparse.epsilon"] * self.stack(x + w, f"{at}.sparse.convs", norm=False)
            D = self.stack(B + T, f"{at}.merge.mapping", norm=True)
            found.append((B[0], T[0], D[0]))
        return found

    def memory(self, x, h, c, at):
        def residual(x, name):
            return x + self.conv(np.maximum(self.conv(x, f"{name}.conv1"), 0), f"{name}.conv2")

        x = np.maximum(self.norm(self.conv(x, f"{at}.conv1_C.0"), f"{at}.conv1_C.1"), 0)
        x = residual(x, f"{at}.RB_1")
        lstm = f"{at}.ConvLSTM.conv_"
        if h is None:
            c = expit(self.conv(x, f"{lstm}xi")) * np.tanh(self.conv(x, f"{lstm}xj"))
            h = expit(self.conv(x, f"{lstm}xo")) * c
        else:
            f, i, o, j = (self.conv(x, f"{lstm}x{g}") + self.conv(h, f"{lstm}h{g}") for g in "fioj")
            c = expit(f) * c + expit(i) * np.tanh(j)
            h = expit(o) * np.tanh(c)
        return self.conv(residual(h, f"{at}.RB_2"), f"{at}.convC_1"), h, c

    def prior(self, x, at):
        x = np.maximum(self.conv(x, f"{at}.0"), 0)
        theta = x.mean((1, 2), keepdims=True)
        theta = np.maximum(self.norm(self.conv(theta, f"{at}.2.attn.avg_channel.1"), f"{at}.2.attn.avg_channel.2"), 0)
        theta = expit(self.norm(self.conv(theta, f"{at}.2.attn.avg_channel.4"), f"{at}.2.attn.avg_channel.5"))
        centre = np.einsum("oi,ihw->ohw", self.state[f"{at}.2.conv.weight"].sum((2, 3)), x)
        x = self.norm(theta * centre - self.conv(x, f"{at}.2.conv"), f"{at}.3")
        return self.conv(np.where(x > 0, x, SLOPE * x), f"{at}.5")


def formula(network: nn.Module) -> nn.Module:
    """Weights from a formula, so that nothing about the draw is shared; variances are positive."""
    state = network.state_dict()
    for number, (name, value) in enumerate(state.items()):
        if not value.is_floating_point():
            continue
        wave = torch.sin(torch.arange(value.numel(), dtype=torch.float64) * 0.7 + number).reshape(value.shape)
        small = (0.9 * wave + 0.1) / value[0].numel() ** 0.5
        state[name] = (1 + 0.5 * wave if "running_var" in name else small).to(value)
    network.load_state_dict(state)
    return network.eval()


def image_of(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return 0.5 + 0.3 * np.sin(0.4 * y) * np.cos(0.3 * x) + 0.5 * ((y == 4) & (x == 6))


SMALL = {
    "plain": (RPCANet, {"lowrank_depth": 1, "sparse_depth": 2, "merge_depth": 1}, False),
    "memory": (RPCANetPlusPlus, {"sparse_depth": 2, "merge_depth": 1}, True),
}


@pytest.mark.parametrize("kind", SMALL)
def test_every_stage_is_that_of_the_rendering(kind: str) -> None:
    build, options, memory = SMALL[kind]
    network = formula(build(stages=3, channels=4, **options))
    image = image_of(11, 13)
    expected = Rendering(network.state_dict()).decompose(image, memory)
    with torch.no_grad():
        found = network.double().decompose(torch.from_numpy(image)[None, None])
        last = network(torch.from_numpy(image)[None, None])
    assert len(found) == len(expected) == 3
    for ours, theirs in zip(found, expected, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            scale = np.abs(other).max()
            np.testing.assert_allclose(one[0, 0].numpy() / scale, other / scale, atol=1e-10)
    assert torch.equal(last[0], found[-1].objects)
    assert torch.equal(last[1], found[-1].image)


def test_sizes_are_the_published_ones() -> None:
    assert (unique_parameters(RPCANet()), len(RPCANet().state_dict())) == (679_896, 462)
    for stages, parameters in ((3, 1_480_791), (6, 2_961_582), (9, 4_442_373)):
        whole = RPCANetPlusPlus(stages, unused=True)
        assert (unique_parameters(whole), len(whole.state_dict())) == (parameters, 104 * stages)
        assert unique_parameters(RPCANetPlusPlus(stages)) == parameters - 46_240
    stage = RPCANetPlusPlus(1).decos[0]
    assert unique_parameters(stage.sparse) == 353_339


def test_unused_parameters_can_be_dropped_and_put_back_without_a_change() -> None:
    whole, lean = (RPCANetPlusPlus(2, 4, 1, 1, unused=unused) for unused in (True, False))
    lean.load_state_dict(without_unused(whole.state_dict()))
    again = RPCANetPlusPlus(2, 4, 1, 1, unused=True)
    again.load_state_dict(with_unused(lean.state_dict(), again))
    image = torch.from_numpy(image_of(9, 9)).float()[None, None]
    answers = [network.eval()(image)[0] for network in (whole, lean, again)]
    assert torch.equal(answers[0], answers[1])
    assert torch.equal(answers[0], answers[2])
    whole.train()(image.repeat(2, 1, 1, 1))[0].sum().backward()
    idle = {name for name, parameter in whole.named_parameters() if parameter.grad is None}
    assert idle - set(lean.state_dict()) == set(whole.state_dict()) - set(lean.state_dict())
    assert all(name.startswith("decos.1.merge.") for name in idle & set(lean.state_dict()))


def test_an_even_image_has_no_contrast_but_what_the_attention_leaves() -> None:
    torch.manual_seed(0)
    contrast = Contrast(4).eval()
    x = torch.ones(1, 4, 40, 40) * torch.tensor([0.2, 1.0, -0.5, 2.0])[:, None, None]
    centre = torch.einsum("oi,nihw->nohw", contrast.conv.weight.sum((2, 3)), x)
    inside = contrast(x)[:, :, 8:-8, 8:-8]
    torch.testing.assert_close(inside, ((contrast.attn(x) - 1) * centre)[:, :, 8:-8, 8:-8], atol=1e-5, rtol=1e-5)


def test_published_files_fit_strictly_or_not_at_all(tmp_path: Path) -> None:
    made, other = RPCANetPlusPlus(2, 4, unused=True), RPCANetPlusPlus(2, 4)
    torch.save(made.state_dict(), tmp_path / "made.pkl")
    load_published(other, tmp_path / "made.pkl")
    assert all(torch.equal(value, made.state_dict()[name]) for name, value in other.state_dict().items())
    before = {name: value.clone() for name, value in RPCANet(2, 4).state_dict().items()}
    network = RPCANet(2, 4)
    network.load_state_dict(before)
    with pytest.raises(BenchmarkError, match=r"do not fit this RPCANet.*model\.stages"):
        load_published(network, tmp_path / "made.pkl")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    (tmp_path / "code.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(BenchmarkError, match="no plain state dict"):
        load_published(network, tmp_path / "code.pkl")


@pytest.mark.parametrize("name", ["ISTD/SIRST", "ISTD/NUDT", "VS/CHASE_DB1", "DD/NEU"])
def test_published_weights_of_the_authors_load_strictly(mirror: Path, name: str) -> None:
    network = RPCANet()
    load_published(network, mirror / "rpcanet_weights" / name / "RPCANet.pkl")
    if name == "ISTD/SIRST":
        steps = [round(stage.sparse.epsilon.item(), 4) for stage in network.decos]
        assert steps == [0.0186, 0.0229, 0.0349, 0.0339, 0.0283, 0.0292]
