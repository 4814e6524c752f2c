"""Scenes in MATLAB files: made-up ones in the published layouts are split by blocks; other files are named with what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import mat_scene
from benchmarks.errors import BenchmarkError

CARDS = {
    "pavia_university": ("PaviaU.mat", "paviaU", "PaviaU_gt.mat", "paviaU_gt", 103, 9, (430.0, 860.0)),
    "salinas": (
        "Salinas_corrected.mat",
        "salinas_corrected",
        "Salinas_gt.mat",
        "salinas_gt",
        204,
        16,
        (400.0, 2490.58),
    ),
    "houston2013": ("Houston.mat", "Houston", "Houston_gt.mat", "Houston_gt", 144, 15, (380.0, 1050.0)),
}
FACTS: dict[str, Any] = {
    "low": 430.0, "high": 860.0, "channels": 40, "gsd": 1.3, "names": "a, b, c", "boundary": 700.0, "visible": 4,
    "infrared": 2, "window": 4,
}  # fmt: skip


def place(folder: Path, name: str, **changed: Any) -> np.ndarray:
    """Both files of a card, 120 x 100 pixels in patches of 5 x 5; gives the labels."""
    cube_file, cube_key, label_file, label_key, bands, classes, _ = CARDS[name]
    random = np.random.default_rng(0)
    numbers = random.integers(0, classes + 1, (24, 20)).repeat(5, 0).repeat(5, 1).astype(np.uint8)
    spectra = random.uniform(500, 4000, (classes + 1, bands))
    cube = (spectra[numbers] + random.normal(0, 20, (120, 100, bands))).astype(np.uint16)
    folder.mkdir(parents=True, exist_ok=True)
    savemat(folder / cube_file, {cube_key: changed.get("cube", cube)})
    savemat(folder / label_file, {label_key: changed.get("numbers", numbers)})
    return numbers


@pytest.mark.parametrize("name", sorted(CARDS))
def test_a_card_reads_its_files_and_no_training_window_comes_near_the_test(name: str, data_cache: Path) -> None:
    numbers = place(data_cache / name, name)
    bundle = open_bundle(name, progress=False)
    fold = bundle.folds[0]
    schema = fold.training.schema
    *_, bands, classes, (low, high) = CARDS[name]
    assert (len(schema["wavelengths"]), len(schema["classes"])) == (bands, classes)
    assert (min(schema["wavelengths"]), max(schema["wavelengths"])) == pytest.approx((low, high), abs=0.01)
    assert schema["gsd"] == load_card(name).options["gsd"]
    assert len(schema["trained"]) == 24
    assert sum("no publisher's checksum is known" in note for note in bundle.notes) == 2
    seen = np.zeros((3, 120, 100), bool)
    for which, part in zip(seen, (fold.training.train, fold.training.val, fold.test), strict=True):
        column: Any = part.columns["cube"]
        for _, top, left in column.places:
            which[top : top + column.side, left : left + column.side] = True
        _, top, left = column.places[0]
        window = numbers[top : top + column.side, left : left + column.side].astype(int)
        assert np.array_equal(np.where(window == 0, 255, window - 1), part.columns["label"][0])
    assert not (seen[0] & seen[1]).any()
    assert not (seen[1] & seen[2]).any()
    near = np.zeros((120, 100), bool)
    for down in (-1, 0, 1):
        for right in (-1, 0, 1):
            near |= np.roll(seen[0], (down, right), (0, 1))
    assert not (near & seen[2]).any()


def test_the_same_card_has_no_file_without_being_told_where_to_get_it(
    data_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    with pytest.raises(BenchmarkError, match=r"Download PaviaU\.mat from https"):
        open_bundle("pavia_university", progress=False)


def files(folder: Path, cube: Any = None, numbers: Any = None, **more: Any) -> dict[str, Path]:
    random = np.random.default_rng(0)
    cube = random.uniform(0, 1, (40, 40, 40)) if cube is None else cube
    numbers = random.integers(0, 4, (40, 40)) if numbers is None else numbers
    savemat(folder / "x.mat", {"whatever": cube, **more})
    savemat(folder / "x_gt.mat", {"map": numbers})
    return {"x.mat": folder / "x.mat", "x_gt.mat": folder / "x_gt.mat"}


def test_arrays_are_found_by_their_dimensions_and_channels_may_be_left_out(tmp_path: Path) -> None:
    fold = mat_scene.read(files(tmp_path, note=np.ones((1, 3))), **FACTS)[0]
    assert len(fold.training.schema["wavelengths"]) == 40
    made = files(tmp_path, np.random.default_rng(1).uniform(0, 1, (40, 40, 36)))
    left = mat_scene.read(made, **FACTS, dropped="2-4, 40")[0].training.schema["wavelengths"]
    np.testing.assert_allclose(left, np.delete(np.linspace(430, 860, 40), [1, 2, 3, 39]))


@pytest.mark.parametrize(
    ("made", "facts", "message"),
    [
        ({"cube": np.ones((40, 40, 30))}, {}, r"x\.mat has 30 bands; the data set has 40"),
        ({"cube": np.ones((40, 40))}, {}, r"must hold one array of 3 dimensions; it holds whatever \(40, 40\)"),
        ({"second": np.ones((40, 40, 2))}, {}, "must hold one array of 3 dimensions"),
        ({"numbers": np.ones((30, 40))}, {}, r"x_gt\.mat are 30 x 40 pixels and the scene x\.mat 40 x 40"),
        ({"numbers": np.full((40, 40), 4)}, {}, "must be whole numbers from 0 to 3; they go from 4 to 4"),
        ({"numbers": np.full((40, 40), 0.5)}, {}, "must be whole numbers from 0 to 3"),
        ({}, {"block": 20}, r"data\.block=20 is not valid: there must be four blocks or more along 40 pixels"),
        ({}, {"dropped": "50"}, r"data\.dropped='50' is not valid: channels from 1 to 40"),
        ({}, {"dropped": "2-x"}, r"data\.dropped='2-x' is not valid"),
        ({}, {"boundary": 1000.0}, r"lie on one side of data\.boundary=1000\. .*type data\.boundary=645"),
    ],
)  # fmt: skip
def test_files_and_options_that_do_not_fit_are_named(tmp_path: Path, made: dict, facts: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        mat_scene.read(files(tmp_path, **made), **{**FACTS, **facts})


def test_files_of_other_versions_are_refused(tmp_path: Path) -> None:
    held = files(tmp_path)
    (tmp_path / "x.mat").write_text("no matrix")
    with pytest.raises(BenchmarkError, match=r"x\.mat cannot be read as a MATLAB file"):
        mat_scene.read(held, **FACTS)
    header = b"MATLAB 7.3 MAT-file".ljust(124, b" ") + bytes((0, 2)) + b"IM"
    (tmp_path / "x.mat").write_bytes(header + bytes(512))
    with pytest.raises(BenchmarkError, match=r"version 7\.3\. Save it as version 7"):
        mat_scene.read(held, **FACTS)
