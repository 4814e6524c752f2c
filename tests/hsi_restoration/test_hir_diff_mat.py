"""Cubes in the layout of HIR-Diff's authors, from an archive that is put there by hand."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import hir_diff_mat
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.reported import reported_rows
from benchmarks.leaderboard.store import Store
from benchmarks.runner import run
from benchmarks.spec import RunSpec

HEIGHT, WIDTH, BANDS = 20, 24, 5


def clean(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((HEIGHT, WIDTH, BANDS))


def mat(**variables: object) -> bytes:
    buffer = io.BytesIO()
    savemat(buffer, {"input": clean() + 0.1, "gt": clean(), "sigma": 50.0} | variables)
    return buffer.getvalue()


MEMBERS = {
    "data/Houston/test/gauss_50/Houston_cropped.mat": mat(),
    "data/WDC/test/gauss_50/WDC_cropped.mat": mat(input=clean(1), gt=clean(1), sigma=50 / 255),
    "data/WDC/test/gauss_sr_0.25/WDC_cropped.mat": mat(input=clean()[::4, ::4], scale=0.25, sigma=0),
    "data/Salinas/test/gauss_inpainting_0.8/Salinas_cropped.mat": mat(mask=(clean() > 0.8).astype(float), sigma=0),
    "__MACOSX/data/WDC/test/gauss_50/._WDC_cropped.mat": b"junk",
}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    return packed(tmp_path, MEMBERS)


def packed(folder: Path, members: dict[str, bytes]) -> dict[str, Path]:
    path = folder / "hir_diff_data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return {path.name: path}


def test_denoising_has_a_cube_of_each_set_and_one_scale_of_sigma(files: dict[str, Path]) -> None:
    fold = hir_diff_mat.read(files, tile=8)[0]
    split = fold.test
    assert split.parts == 2
    assert split.conditions is not None
    assert set(split.conditions) == {"Houston", "WDC"}
    np.testing.assert_allclose(split.columns["sigma"], 50 / 255, rtol=1e-6)
    first = split.conditions == "Houston"
    tile = clean().transpose(2, 0, 1)[:, :8, :8]
    np.testing.assert_allclose(split.columns["clean"][first][0], tile, rtol=1e-6)
    np.testing.assert_allclose(split.columns["noisy"][first][0], tile + 0.1, rtol=1e-6)
    assert "observed" not in split.columns
    assert fold.training.schema == {"bands": BANDS, "factor": 1}
    assert len(fold.training.train) == len(fold.training.val) == 0
    assert set(hir_diff_mat.read(files, sets="WDC")[0].test.conditions) == {"WDC"}  # type: ignore[arg-type]


def test_super_resolution_has_its_factor_and_inpainting_what_was_measured(files: dict[str, Path]) -> None:
    low = hir_diff_mat.read(files, folder="gauss_sr_0.25", tile=16, crop=18)[0]
    assert low.training.schema["factor"] == 4
    assert low.test.columns["noisy"].shape[2:] == (4, 4)
    assert np.isfinite(low.test.columns["clean"][0]).all()
    assert (len(low.test), set(low.test.columns["factor"])) == (1, {4})
    gaps = hir_diff_mat.read(files, folder="gauss_inpainting_0.8", tile=8)[0].test
    mask = clean().transpose(2, 0, 1)[:, :8, :8] > 0.8
    assert np.array_equal(gaps.columns["observed"][0], mask)
    assert (gaps.columns["noisy"][0][~mask] == 0).all()


@pytest.mark.parametrize(
    ("member", "options", "message"),
    [
        (None, {"folder": "gaus_50"}, r"data\.folder: 'gaus_50'\. Did you mean 'gauss_50'"),
        (None, {"sets": "Huston"}, r"data\.sets: 'Huston'\. Did you mean 'Houston'"),
        (None, {"tile": 0}, r"data\.tile=0"),
        (mat(gt=1000 * clean()), {}, r"gt goes from .* on a scale from 0 to 1"),
        (mat(input=clean()[::2]), {}, r"gt is \(20, 24, 5\) and input \(10, 24, 5\)"),
        (mat(mask=np.ones((20, 24))), {}, r"mask is \(20, 24\)"),
        (b"MATLAB 7.3 MAT-file", {}, r"version 7\.3\. Save it as version 7"),
    ],
)
def test_what_is_not_of_the_layout_is_named(tmp_path: Path, member: bytes | None, options: dict, message: str) -> None:
    name = "data/Houston/test/gauss_50/Houston_cropped.mat"
    with pytest.raises(BenchmarkError, match=message):
        hir_diff_mat.read(packed(tmp_path, MEMBERS | ({name: member} if member else {})), **options)


def test_an_archive_of_other_things_is_refused_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="SET/test/FOLDER/NAME"):
        hir_diff_mat.read(packed(tmp_path, {"Houston.mat": mat()}))


def test_without_the_archive_the_card_says_what_to_do(data_cache: Path) -> None:
    assert load_card("hir_diff_mat").files[0].how
    with pytest.raises(BenchmarkError, match="Pack SET/test/FOLDER"):
        open_bundle("hir_diff_mat", progress=False)


@pytest.mark.parametrize("method", ["svd_tv", "hir_diff"])
def test_a_run_needs_nothing_to_train_on(data_cache: Path, tmp_path: Path, method: str) -> None:
    (data_cache / "hir_diff_mat").mkdir(parents=True)
    packed(data_cache / "hir_diff_mat", MEMBERS)
    words = ["task=hsi_restoration", "data=hir_diff_mat", f"method={method}", "trainer.progress=false", "profile=none"]
    if method == "hir_diff":
        words += ["scale=smoke", "model.base=8", "model.mults=[1,2]", "model.groups=4", "method.steps=2", "task.crop=8",
                  "trainer.max_epochs=1"]  # fmt: skip
    record = run(RunSpec.of(words), Store(tmp_path / "results"))
    assert {row.condition for row in record.quality} == {None, "Houston", "WDC"}


def test_figures_of_the_authors_are_read_and_compared_with_nothing() -> None:
    rows = reported_rows("hsi_restoration", "hsi_cubes")
    assert {(row.condition, row.metric) for row in rows} == {("Houston", "oracle_mpsnr")}
    assert {row.value for row in rows} == {36.01, 34.61, 34.33}
    assert all(row.how == "read" and not row.comparable for row in reported_rows("hsi_restoration"))
