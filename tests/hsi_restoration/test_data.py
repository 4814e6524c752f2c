"""Cubes in tiles, what sensors do to them, and the proof that no cube is among what a prior is trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat
from scipy.ndimage import convolve1d

from benchmarks.datasets.card import load_card
from benchmarks.datasets.degradations import KINDS, Degradation, lowered
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import hsi_cubes, sim_cube
from benchmarks.datasets.readers.cube_tiles import Scene, split_of
from benchmarks.datasets.readers.rgb_photos import photo_fold
from benchmarks.errors import BenchmarkError

SIGMA_50_PSNR = {"reno": 15.17, "jasper": 15.85, "pavia": 16.76}
"""Of the clipped 64 x 64 crops, mean over bands, noise of default_rng(0)."""


def cube(height: int = 20, width: int = 28, bands: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((height, width, bands)).astype(np.float32)


def test_tiles_of_cubes_of_several_shapes_are_put_together_again() -> None:
    clean = {"a": cube(), "b": cube(16, 16, 4, 1)}
    scenes = [Scene(name, name, each, Degradation("gaussian", 10.0).apply(each)) for name, each in clean.items()]
    split = split_of(scenes, 8)
    assert split.columns["clean"].shape == (3 * 4 + 4, 6, 8, 8)
    assert split.parts == 2
    for name, each in clean.items():
        rows = split.groups == name
        made = np.full((24, 32, 6), np.nan, np.float32)
        for tile, (row, column) in zip(split.columns["clean"][rows], split.columns["place"][rows], strict=True):
            made[row : row + 8, column : column + 8] = tile.transpose(1, 2, 0)
        height, width, bands = each.shape
        assert np.array_equal(made[:height, :width, :bands], each)
        assert np.isnan(made[height:]).all()
        assert np.isnan(made[:, :, bands:]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_every_degradation_has_its_shape_and_equal_seeds_agree(kind: str) -> None:
    clean = cube(16, 24, 9)
    spoil = Degradation(kind, sigma=30.0, rate=0.7)
    one, two = spoil.apply(clean), spoil.apply(clean)
    assert np.array_equal(one.noisy, two.noisy)
    assert one.noisy.shape == (16 // one.factor, 24 // one.factor, 9)
    assert one.noisy.dtype == np.float32
    if kind not in ("sr2", "sr4"):
        assert not np.array_equal(one.noisy, Degradation(kind, sigma=30.0, rate=0.7, seed=1).apply(clean).noisy)
    if kind == "inpaint":
        assert one.observed is not None
        assert one.observed.mean() == pytest.approx(0.3, abs=0.03)
        assert np.array_equal(one.noisy, np.where(one.observed, clean, 0))
    assert np.isnan(one.sigma) == (kind in ("noniid", "stripes", "deadlines", "impulse", "mixture"))


def test_gaussian_noise_has_the_deviation_that_was_asked_for_and_mixtures_differ_by_band() -> None:
    clean = np.full((60, 60, 12), 0.5, np.float32)
    noise = Degradation("gaussian", 50.0).apply(clean).noisy - clean
    assert noise.std() * 255 == pytest.approx(50, rel=0.01)
    deviations = (Degradation("noniid").apply(clean).noisy - clean).std((0, 1)) * 255
    assert deviations.min() < 25 < 55 < deviations.max()
    dead = Degradation("deadlines").apply(clean).noisy
    assert (dead == 0).all(0).any(0).sum() == 4  # a third of the bands have columns of zeros


def test_a_lower_resolution_is_blur_and_bicubic_means() -> None:
    clean = cube(16, 16, 3).astype(np.float64)
    taps = np.exp(-0.5 * (np.arange(-4, 5) / 1.6986436) ** 2)
    blurred = clean
    for axis in (0, 1):
        blurred = convolve1d(blurred, taps / taps.sum(), axis, mode="constant")
    # MATLAB's weights for half the size, where every output pixel lies in the middle of two input pixels.
    weights = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    expected = blurred
    for axis in (0, 1):
        around = np.pad(expected, [(3, 3) if each == axis else (0, 0) for each in range(3)], mode="symmetric")
        size = expected.shape[axis]
        expected = sum(w * around.take(range(at, at + size, 2), axis) for at, w in enumerate(weights))
    np.testing.assert_allclose(lowered(clean.astype(np.float32), 2), expected, atol=1e-6)
    assert lowered(np.ones((48, 48, 3), np.float32), 4)[6, 6] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degradation": "gausian"}, r"Did you mean 'gaussian'"),
        ({"sigma": -1.0}, r"data\.sigma=-1\.0"),
        ({"rate": 1.0}, r"data\.rate=1\.0"),
        ({"size": 30}, r"data\.size=30"),
        ({"degradation": "sr4", "tile": 6}, r"data\.tile=6 is no multiple of 4"),
    ],
)
def test_options_that_cannot_work_are_named(options: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        sim_cube.read({}, **options)


def test_a_matlab_file_of_another_kind_and_a_constant_cube_are_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "x.mat", {"Y": np.ones((4, 10)), "lines": 3, "cols": 3})
    with pytest.raises(BenchmarkError, match="lines x cols are 3 x 3"):
        hsi_cubes.load(tmp_path / "x.mat", "Y")
    with pytest.raises(BenchmarkError, match="variable data"):
        hsi_cubes.load(tmp_path / "x.mat", "data")
    with pytest.raises(BenchmarkError, match=r"holds the value 1\.0 alone"):
        hsi_cubes.normalised(np.ones((3, 3, 3)))


def test_photographs_are_parted_by_image_and_tested_under_three_levels_of_noise() -> None:
    photos = {name: np.random.default_rng(1).integers(0, 256, (20, 24, 3), np.uint8) for name in "abc"}
    fold = photo_fold({"a": photos["a"]}, {"b": photos["b"]}, {"c": photos["c"]}, 8, 16, 0)[0]
    assert fold.training.train.columns["image"].shape == (6, 8, 8, 3)
    assert fold.training.schema["photos"] == ["a"]
    assert fold.test.conditions is not None
    assert fold.test.conditions.tolist() == ["sigma 15", "sigma 25", "sigma 50"]
    assert fold.test.units.tolist() == ["c"] * 3
    np.testing.assert_allclose(fold.test.columns["sigma"] * 255, [15, 25, 50], rtol=1e-6)
    assert np.array_equal(fold.test.columns["clean"][0, :, 0, 0], (photos["c"][2, 4] / 255).astype(np.float32))


def test_no_cube_and_no_tuning_or_test_image_trains_a_prior(mirror: Path) -> None:
    photos, cubes = load_card("rgb_photos"), [load_card(name) for name in ("hsi_cubes", "sim_indian")]
    assert not {file.sha256 for file in photos.files} & {file.sha256 for card in cubes for file in card.files}
    assert {Path(file.path).suffix for file in photos.files} == {".jpg", ".png"}
    fold = open_bundle("rgb_photos", progress=False).folds[0]
    trained = set(fold.training.schema["photos"])
    assert trained == set(fold.training.train.units.tolist())
    judged = set(fold.training.val.units.tolist()) | set(fold.test.units.tolist())
    assert trained & judged == set()
    places = [{Path(path).name for path in part if path.startswith("aerial")} for part in (trained, judged)]
    assert not places[0] & places[1]  # two dates of one place are in one part


def test_real_cubes_are_tuned_on_two_and_tested_on_three_others(mirror: Path) -> None:
    fold = open_bundle("hsi_cubes", progress=False).folds[0]
    assert set(fold.training.val.groups) == {"samson", "moffett"}  # type: ignore[arg-type]
    assert fold.test.groups is not None
    for name, expected in SIGMA_50_PSNR.items():
        rows = fold.test.groups == name
        assert rows.sum() == 16
        errors = (fold.test.columns["noisy"][rows].clip(0, 1) - fold.test.columns["clean"][rows]) ** 2
        bands = np.nanmean(errors[:, np.isfinite(errors[0, :, 0, 0])], (0, 2, 3))
        assert (-10 * np.log10(bands)).mean() == pytest.approx(expected, abs=0.005)
    with pytest.raises(BenchmarkError, match=r"Unknown cube for data\.test: 'renoo'\. Did you mean 'reno'"):
        open_bundle("hsi_cubes", {"test": "renoo"}, progress=False)
