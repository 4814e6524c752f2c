"""With a prior of two minutes, what the ingredients of HIR-Diff are worth on real cubes; half an hour on a crowded machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.leaderboard.store import Store
from benchmarks.runner import run
from benchmarks.spec import RunSpec

MIRROR = os.environ.get("BENCH_MIRROR")
SHARED = ("task=hsi_restoration", "trainer.progress=false", "trainer.accelerator=cpu", "profile=none", "pictures=false")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

Scores = dict[str | None, float]


@pytest.fixture(scope="module")
def mpsnr(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Scores]:
    """MPSNR by cube, and over all, of a run; the prior is trained for the first of them."""
    if not MIRROR or not Path(MIRROR).is_dir():
        pytest.skip("BENCH_MIRROR names no folder, and this test needs files that may not be redistributed")
    folder = tmp_path_factory.mktemp("figures")

    def of(*words: str) -> Scores:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("BENCH_DATA", str(folder / "data"))
            patch.setenv("BENCH_MIRROR", str(Path(str(MIRROR)).resolve()))
            record = run(RunSpec.of([*SHARED, *words]), Store(folder / "results"))
        return {row.condition: row.value or float("nan") for row in record.quality if row.primary}

    return of


def test_restoration_reaches_the_figures_of_the_sheet(mpsnr: Callable[..., Scores]) -> None:
    found = mpsnr("method=hir_diff")
    for name, least in {"reno": 32.0, "jasper": 33.5, "pavia": 34.5}.items():
        assert found[name] >= least


def test_schedule_variation_and_choice_of_bands_are_worth_what_they_are_said_to_be(
    mpsnr: Callable[..., Scores],
) -> None:
    whole = mpsnr("method=hir_diff")
    for words, margin in (("schedule=linear", 0.3), ("eta2=0", 0.5), ("bands=equispaced", 0.0)):
        without = mpsnr("method=hir_diff", f"method.{words}")
        for name in ("reno", "jasper", "pavia"):
            assert whole[name] > without[name] + margin, (words, name)
    assert max(mpsnr("method=hir_diff", "method.denoiser=zero").values()) < 12


def test_eight_steps_from_the_observation_are_nearly_as_good_as_twenty(mpsnr: Callable[..., Scores]) -> None:
    """With as much noise as was chosen on the tuning cubes, and on each cube."""
    few = mpsnr("method=hir_diff", "method.start=observation", "method.start_noise=3", "method.steps=8")
    many = mpsnr("method=hir_diff")
    assert all(few[name] > many[name] - 0.3 for name in many)


def test_the_authors_conditioning_differs_by_little(mpsnr: Callable[..., Scores]) -> None:
    theirs = mpsnr("method=hir_diff", "method.conditioning=abar")
    assert theirs[None] == pytest.approx(mpsnr("method=hir_diff")[None], abs=0.05)


@pytest.mark.skipif(not find_spec("bm3d"), reason="the extra bm3d is not installed")
def test_bm3d_in_the_subspace_is_as_strong_as_it_should_be(mpsnr: Callable[..., Scores]) -> None:
    found = mpsnr("method=svd_bm3d")
    for name, least in {"reno": 33.5, "jasper": 34.7, "pavia": 38.0}.items():
        assert found[name] >= least
