"""One pass measures what upstream measures in a pass a stage, and measures that no scale moves."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.sparse_object.build import build
from benchmarks.models.sparse_object.lowrankness import hoyer_sparsity, low_rankness
from benchmarks.sparse_object.interpretation import interpret

TINY = {"stages": 3, "channels": 4, "sparse_depth": 1, "merge_depth": 1}


def seen(network: nn.Module, part: nn.Module, images: torch.Tensor) -> np.ndarray:
    """What a part of the network puts out, by a hook and a pass of its own, [n, h, w]."""
    taken: list[torch.Tensor] = []
    handle = part.register_forward_hook(lambda _, __, out: taken.append(out[0] if isinstance(out, tuple) else out))
    with torch.no_grad():
        network(images)
    handle.remove()
    return taken[0][:, 0].numpy()


@pytest.mark.parametrize("name", ["rpcanet", "rpcanet_pp"])
def test_one_pass_measures_what_a_pass_a_stage_does(name: str) -> None:
    torch.manual_seed(0)
    network, images, passes = build(name, **TINY).eval(), torch.rand(3, 1, 18, 15), []
    network.decos[0].register_forward_hook(lambda *_: passes.append(1))
    found = interpret(network, images)
    assert len(passes) == 1
    assert len(found) == 3
    for stage, report in zip(network.decos, found, strict=True):
        background, objects = (seen(network, part, images) for part in (stage.lowrank, stage.sparse))
        spectra = np.array([np.linalg.svd(np.maximum(each, 0), compute_uv=False)[:10] for each in background])
        np.testing.assert_allclose(report.leading, spectra.mean(0), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(report.leading_std, spectra.std(0), rtol=1e-3, atol=1e-5)
        shares = (objects > 0).mean((1, 2))
        assert (report.positive, report.positive_std) == pytest.approx((shares.mean(), shares.std(ddof=1)))
        expected = np.mean([low_rankness(each) for each in background], 0)
        np.testing.assert_allclose(report[:3], expected, rtol=1e-5)
        assert report.hoyer == pytest.approx(np.mean([hoyer_sparsity(np.maximum(each, 0)) for each in objects]))


def test_a_background_ten_times_as_large_is_of_the_same_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network, images = build("rpcanet", **TINY).eval(), torch.rand(2, 1, 12, 12)
    stages = network.decompose(images)
    before = interpret(network, images)
    grown = [stage._replace(background=10 * stage.background) for stage in stages]
    monkeypatch.setattr(network, "decompose", lambda image: grown)
    for ours, theirs in zip(interpret(network, images), before, strict=True):
        np.testing.assert_allclose(ours[:4], theirs[:4], rtol=1e-5)
        np.testing.assert_allclose(ours.leading, 10 * theirs.leading, rtol=1e-4, atol=1e-6)


def test_a_filter_has_no_stages_to_measure() -> None:
    with pytest.raises(BenchmarkError, match="TopHat has no stages"):
        interpret(build("tophat"), torch.rand(1, 1, 9, 9))
