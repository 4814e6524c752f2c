"""Photographs for pretraining: virtual samples that no order changes, held-out pictures, and archives of one's own."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.bundle import Split
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.prod import DEGRADATIONS, prod_sample
from benchmarks.datasets.readers import photos
from benchmarks.datasets.readers.photo_crops import JUDGED, middle
from benchmarks.datasets.readers.photos import PIXELS, SHAPES, Shapes, decoded
from benchmarks.epochs import EpochBatches
from benchmarks.errors import BenchmarkError


def batches(split: Split, size: int, seed: int, world: int = 1) -> dict[bytes, bytes]:
    """What an epoch over all processes sees: degraded squares by their clean ones."""
    seen = {}
    for rank in range(world):
        for batch in EpochBatches(split, size, seed, lambda: 0, lambda rank=rank: (rank, world)):
            for clean, image in zip(batch["clean"], batch["image"], strict=True):
                seen[clean.numpy().tobytes()] = image.numpy().tobytes()
    return seen


def test_batches_seeds_of_the_run_and_processes_change_no_sample(data_cache: Path) -> None:
    train = open_bundle("sim_photos", {"samples": 24}, progress=False).folds[0].training.train
    first = batches(train, 5, 0)
    assert len(first) == 24
    assert first == batches(train, 24, 1) == batches(train, 4, 2, world=2)


def test_samples_come_from_the_parts_own_pictures(data_cache: Path) -> None:
    fold = open_bundle("sim_photos", progress=False).folds[0]
    columns = [part.columns["clean"] for part in (fold.training.train, fold.training.val)]
    pictures = [[photo.tobytes() for photo in column.photos] for column in columns]  # type: ignore[attr-defined]
    assert not set(pictures[0]) & set(pictures[1])
    assert fold.training.schema["photos"] == [f"train{number}" for number in range(6)]
    assert fold.training.schema["patch"] == 32
    assert columns[1].seed == columns[0].seed + JUDGED  # type: ignore[attr-defined]


def test_every_mode_is_tested_under_all_degradations(data_cache: Path) -> None:
    folds = {
        mode: open_bundle("sim_photos", {"degradations": mode, "samples": 4}, progress=False).folds[0]
        for mode in ("prod", "single", "none")
    }
    for fold in folds.values():
        assert np.array_equal(fold.test.columns["image"], folds["prod"].test.columns["image"])
        assert np.array_equal(fold.training.train.columns["clean"][:], folds["prod"].training.train.columns["clean"][:])
    test = folds["prod"].test
    assert test.conditions is not None
    assert set(test.conditions.tolist()) == {*DEGRADATIONS, "mixed"}
    assert len(test) == 2 * 6
    assert len(set(test.units.tolist())) == 2
    none = folds["none"].training.train
    assert np.allclose(none.columns["image"][:] * 255, none.columns["clean"][:], atol=1e-4)
    row = test.ids.tolist().index("test1 jpeg")
    clean = test.columns["clean"][row] / np.float32(255)
    assert np.array_equal(test.columns["image"][row], prod_sample(clean, 2 * JUDGED, row, only="jpeg")[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"degradations": "prodd"}, "Did you mean 'prod'"),
        ({"samples": 0}, r"data\.samples=0 .* is not valid"),
        ({"patch": 8}, r"data\.patch=8 .* patches are of 16 pixels or more"),
        ({"seed": -1}, "the seed is 0 or more"),
    ],
)
def test_options_without_sense_are_refused(data_cache: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        open_bundle("sim_photos", options, progress=False)


def test_photographs_of_bsds_are_held_out_by_tens(mirror: Path) -> None:
    fold = open_bundle("prod_photos", {"samples": 40, "patch": 48}, progress=False).folds[0]
    train, val = fold.training.train.columns["clean"], fold.training.val.columns["clean"]
    assert (len(train.photos), len(val.photos)) == (123, 14)  # type: ignore[attr-defined]
    assert len(fold.test) == 40 * 6
    assert fold.training.train.columns["image"][:8].shape == (8, 48, 48, 3)
    assert "196015" not in fold.training.schema["photos"]
    with pytest.raises(BenchmarkError, match=r"481 x 321 pixels, smaller than data\.patch=400\. Type data\.patch=321"):
        open_bundle("prod_photos", {"patch": 400, "samples": 1}, progress=False)


def archive(folder: Path, count: int, extra: dict[str, bytes] | None = None) -> Path:
    """Pictures of one's own in several folders, formats and sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "photos.zip", "w") as made:
        made.writestr("__MACOSX/._0.png", b"junk")
        made.writestr("readme.txt", b"of mine")
        for number in range(count):
            buffer = io.BytesIO()
            levels = np.random.default_rng(number).integers(0, 256, (40 + number, 50, 3), np.uint8)
            kind = ("PNG", "JPEG", "BMP")[number % 3]
            Image.fromarray(levels).save(buffer, kind)
            made.writestr(f"album{number % 2}/{number:02}.{kind.lower()}", buffer.getvalue())
        for name, content in (extra or {}).items():
            made.writestr(name, content)
    return folder / "photos.zip"


def test_pictures_of_ones_own_are_decoded_once(data_cache: Path) -> None:
    path = archive(data_cache / "photos", 12)
    options = {"samples": 6, "patch": 32, "val_samples": 2}
    fold = open_bundle("photos", options, progress=False).folds[0]
    train = fold.training.train.columns["clean"]
    names = fold.training.schema["photos"]
    assert len(names) == 8
    assert not any("__MACOSX" in name for name in names)
    levels = np.random.default_rng(6).integers(0, 256, (46, 50, 3), np.uint8)
    assert np.array_equal(train.photos[names.index("album0/06.png")], levels)  # type: ignore[attr-defined]
    assert {name.split()[0] for name in fold.test.ids.tolist()} == {"album0/02.bmp", "album1/11.bmp"}
    assert np.array_equal(
        fold.test.columns["clean"][0], middle(np.random.default_rng(2).integers(0, 256, (42, 50, 3), np.uint8), 32)
    )
    place = next((data_cache / "photos" / ".built").glob("*/pictures/pixels.u8"))
    written = place.stat().st_mtime_ns
    again = open_bundle("photos", options, progress=False).folds[0]
    assert place.stat().st_mtime_ns == written
    assert np.array_equal(again.training.train.columns["image"][:], fold.training.train.columns["image"][:])
    assert path.is_file()


@pytest.mark.parametrize("damage", ["short", "no shapes", "half a file of shapes"])
def test_pictures_that_were_left_unfinished_are_decoded_anew(tmp_path: Path, damage: str) -> None:
    path, place = archive(tmp_path, 3), tmp_path / "built" / "pictures"
    whole = {name: levels.copy() for name, levels in decoded(path, place).items()}
    if damage == "short":
        (place / PIXELS).write_bytes((place / PIXELS).read_bytes()[:-5000])
    elif damage == "no shapes":
        (place / SHAPES).unlink()
    else:
        (place / SHAPES).write_text((place / SHAPES).read_text()[:-20])
    again = decoded(path, place)
    assert again.keys() == whole.keys()
    assert all(np.array_equal(again[name], levels) for name, levels in whole.items())


def test_of_processes_that_want_the_same_pictures_one_decodes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, place, calls = archive(tmp_path, 3), tmp_path / "built" / "pictures", []

    def slow(*arguments: Path, real: Callable[..., Shapes] = photos._decode) -> Shapes:
        calls.append(arguments)
        time.sleep(0.1)
        return real(*arguments)

    monkeypatch.setattr(photos, "_decode", slow)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: decoded(path, place), range(3)))
    assert len(calls) == 1
    assert all(np.array_equal(each["album0/00.png"], found[0]["album0/00.png"]) for each in found)


def test_archives_without_pictures_enough_are_refused(data_cache: Path) -> None:
    archive(data_cache / "photos", 2)
    with pytest.raises(BenchmarkError, match="holds 2 pictures"):
        open_bundle("photos", progress=False)
    archive(data_cache / "photos", 4, {"album0/broken.png": b"no picture"})
    with pytest.raises(BenchmarkError, match=r"album0/broken\.png of .* cannot be read as an image\. Take it out"):
        open_bundle("photos", {"patch": 32}, progress=False)
    archive(data_cache / "photos", 4)
    with pytest.raises(BenchmarkError, match=r"'album\d/\d\d\.\w+' is 4\d x 50 pixels, smaller than data\.patch=128"):
        open_bundle("photos", progress=False)
