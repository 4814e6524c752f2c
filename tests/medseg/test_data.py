"""Data sets of the task: parts by subject, real files by their facts, folders of one's own, and clear errors."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import image_folders, sim_octa, sim_vessels
from benchmarks.errors import BenchmarkError
from benchmarks.spec import RunSpec

TABLE = "imgs,split\na.png,train\nb.png,val\nc.png,test\n"


def folders(where: Path, table: str | bytes = TABLE, **changed: np.ndarray | None) -> dict[str, Path]:
    """An archive of three images with masks, some of which are changed or left out (None)."""
    random = np.random.default_rng(0)
    arrays: dict[str, np.ndarray | None] = {}
    for name in "abc":
        mask = np.zeros((12, 16), np.uint8)
        mask[2:5, 3:9] = 255
        arrays |= {f"images/{name}.png": random.integers(0, 256, (12, 16, 3), np.uint8), f"masks/{name}_mask.png": mask}
    arrays |= {key.replace("__", "/") + ".png": value for key, value in changed.items()}
    with zipfile.ZipFile(where / "mine.zip", "w") as archive:
        archive.writestr("mine/data_split.csv", table)
        for path, array in arrays.items():
            if array is not None:
                with archive.open(f"mine/{path}", "w") as file:
                    Image.fromarray(array).save(file, format="PNG")
    return {"mine.zip": where / "mine.zip"}


def read(where: Path, table: str | bytes = TABLE, colour: bool = True, **changed: np.ndarray | None):
    return image_folders.read(folders(where, table, **changed), archive="mine.zip", colour=colour)[0]


def test_folders_of_ones_own_are_read_by_their_table(tmp_path: Path) -> None:
    fold = read(tmp_path)
    assert fold.training.train.ids.tolist() == ["a.png"]
    assert fold.test.columns["image"].shape == (1, 12, 16, 3)
    assert fold.test.columns["mask"].sum() == 18
    assert fold.training.schema["colour"]
    assert read(tmp_path, colour=False).test.columns["image"].shape == (1, 12, 16)


def test_an_empty_mask_a_wide_and_a_transparent_image_are_as_good_as_others(tmp_path: Path) -> None:
    wide = np.full((12, 16), 257 * 40, np.uint16)
    clear = np.dstack([np.full((12, 16, 3), 9, np.uint8), np.zeros((12, 16), np.uint8)])
    fold = read(tmp_path, images__a=wide, images__c=clear, masks__c_mask=np.zeros((12, 16), np.uint8))
    assert np.unique(fold.training.train.columns["image"]).tolist() == [40]
    assert np.unique(fold.test.columns["image"]).tolist() == [9]
    assert not fold.test.columns["mask"].any()


def test_masks_of_several_classes_hold_their_numbers(tmp_path: Path) -> None:
    numbers = np.zeros((12, 16), np.uint8)
    numbers[2:5, 3:9], numbers[7, 2:4] = 1, 3
    files = folders(tmp_path, masks__a_mask=numbers, masks__b_mask=0 * numbers, masks__c_mask=numbers)
    fold = image_folders.read(files, archive="mine.zip", classes=3)[0]
    assert np.array_equal(fold.test.columns["mask"][0], numbers)
    assert fold.training.schema["classes"] == 3
    with pytest.raises(BenchmarkError, match=r"'a\.png' has the levels 3; with data\.classes=2 it must be 0 .* 1 to 2"):
        image_folders.read(files, archive="mine.zip", classes=2)
    with pytest.raises(BenchmarkError, match=r"data\.classes=0 is not valid"):
        image_folders.read(files, archive="mine.zip", classes=0)
    assert "classes" not in read(tmp_path).training.schema


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"masks__b_mask": np.zeros((12, 15), np.uint8)}, r"Image 'b\.png' is \(12, 16\) and its mask \(12, 15\)"),
        (
            {"masks__a_mask": np.arange(192, dtype=np.uint8).reshape(12, 16)},
            r"levels 0, 1, 2, 3, 4, 5 \.\.\.; it must be 0",
        ),
        (
            {"masks__a_mask": np.full((12, 16), 7, np.uint8) + np.eye(12, 16, dtype=np.uint8)},
            "levels 7, 8; it must be 0",
        ),
        ({"images__c": None}, r"holds no images/c\.png"),
        ({"masks__c_mask": None}, r"holds no masks/c_mask\.png"),
    ],
)
def test_images_and_masks_that_do_not_fit_are_named(tmp_path: Path, changed: dict, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        read(tmp_path, **changed)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("imgs,split\na.png,train\n", r"no image of part val, test \(1 images\)"),
        (
            "imgs,split\na.png,train\nb.png\n",
            r"line 3: an image and its part must stand there, found \['b\.png', None\]",
        ),
        (b"imgs,split\n\xff.png,train\n", r"no UTF-8 text: invalid start byte at byte 11"),
        ("imgs,split\na.png,trian\n", r"Unknown part of data_split\.csv: 'trian'\. Did you mean 'train'"),
        ("imgs,split\na.png,train\na.png,test\n", r"'a\.png' is in train and in test"),
        ("imgs,split,subject\na.png,train,x\nb.png,val,y\nc.png,test,x\n", "'x' is in train and in test"),
        ("file,part\na.png,train\n", "must have the columns imgs and split; it has file, part"),
        ("", "it has no line"),
    ],
)
def test_tables_that_name_no_three_disjoint_parts_are_refused(tmp_path: Path, table: str | bytes, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        read(tmp_path, table)


def test_no_simulated_subject_is_in_two_parts_and_equal_seeds_agree() -> None:
    fold, again = (sim_vessels.read({}, subjects=10, size=24)[0] for _ in range(2))
    parts = (fold.training.train, fold.training.val, fold.test)
    assert [len(part) for part in parts] == [12, 4, 4]
    assert len(set.union(*(set(part.units.tolist()) for part in parts))) == sum(len(set(part.units)) for part in parts)
    assert np.array_equal(fold.test.columns["image"], again.test.columns["image"])
    assert 0.02 < fold.training.train.columns["mask"].mean() < 0.5
    with pytest.raises(BenchmarkError, match=r"data\.subjects=15"):
        sim_vessels.read({}, subjects=2)


def test_a_coarse_pixel_is_what_most_of_its_fine_ones_are() -> None:
    label = np.zeros((8, 8), bool)
    label[:4, :2], label[:4, 4:7] = True, True
    assert sim_octa.coarse(label).tolist() == [[False, True], [False, False]]


def test_chase_db1_serves_both_tasks_and_keeps_its_fingerprint_in_the_first() -> None:
    options = [RunSpec.of([f"task={task}", "data=chase_db1", f"method={method}"]).data_options
               for task, method in (("sparse_object", "tophat"), ("medseg", "all_foreground"))]  # fmt: skip
    assert [one["colour"] for one in options] == [False, True]
    assert (options[1]["shrink"], options[1]["unit"], options[1]["crop"]) == (2, "child", 224)
    card = load_card("chase_db1")
    assert card.fingerprint() == card.fingerprint({"colour": False}) != card.fingerprint({"colour": True})
    typed = RunSpec.of(["task=medseg", "data=chase_db1", "method=all_foreground", "data.crop=112"])
    assert typed.data_options["crop"] == 112


@pytest.mark.parametrize("name", ["drive", "stare"])
def test_vessels_of_other_cameras_serve_both_tasks_and_keep_their_fingerprints(name: str) -> None:
    options = [RunSpec.of([f"task={task}", f"data={name}", f"method={method}"]).data_options
               for task, method in (("sparse_object", "tophat"), ("medseg", "all_foreground"))]  # fmt: skip
    assert [(one["colour"], one["crop"]) for one in options] == [(False, 256), (True, 112)]
    card = load_card(name)
    found = dict.fromkeys((file.path for file in card.required), "0" * 64)
    plain, same, colour = (card.fingerprint(chosen, found) for chosen in ({}, {"colour": False}, {"colour": True}))
    assert plain == same != colour


@pytest.mark.slow
def test_chase_db1_has_eight_test_images_of_four_children(mirror: Path) -> None:
    fold = open_bundle("chase_db1", load_card("chase_db1").by_task["medseg"], progress=False).folds[0]
    parts = (fold.training.train, fold.training.val, fold.test)
    assert [len(part) for part in parts] == [16, 4, 8]
    assert [len(set(part.units)) for part in parts] == [8, 2, 4]
    assert fold.test.columns["image"].shape == (8, 960, 999, 3)
    share = fold.test.columns["mask"].mean((1, 2))
    assert np.mean(2 * share / (1 + share)) == pytest.approx(0.118, abs=0.004)


def test_membranes_are_the_minority_of_ten_real_slices(mirror: Path) -> None:
    fold = open_bundle("isbi2012_em", progress=False).folds[0]
    assert [len(part) for part in (fold.training.train, fold.training.val, fold.test)] == [5, 1, 4]
    assert fold.test.ids.tolist() == ["18", "21", "24", "27"]
    share = fold.test.columns["mask"].mean((1, 2))
    assert np.mean(2 * share / (1 + share)) == pytest.approx(0.334, abs=0.01)


def test_simulated_angiographies_say_that_they_are(mirror: Path) -> None:
    bundle = open_bundle("sim_octa", progress=False)
    fold = bundle.folds[0]
    assert [len(part) for part in (fold.training.train, fold.training.val, fold.test)] == [12, 4, 8]
    assert fold.test.columns["image"].shape == fold.test.columns["mask"].shape == (8, 304, 304)
    assert 0.25 < fold.test.columns["mask"].mean() < 0.45
    assert any("Simulated data" in note for note in bundle.notes)
