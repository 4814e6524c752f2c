"""Data sets out of archives that are put there by hand: their layouts, splits, fields of view, and what errors say."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import drive, neu_seg, sd_saliency, sirst_aug, stare
from benchmarks.errors import BenchmarkError


def encoded(levels: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, kind)
    return buffer.getvalue()


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def zipped(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


def drive_members(lacking: str = "") -> Iterable[tuple[str, bytes]]:
    """The files of DRIVE by their real names and formats, 24 x 20 pixels each; labels say which image they are of."""
    yield "__MACOSX/DRIVE/training/images/._21_training.tif", b"junk"
    for number in range(1, 41):
        folder = "training" if number > 20 else "test"
        mask, field = np.zeros((24, 20), np.uint8), np.zeros((24, 20), np.uint8)
        mask[: number % 20 + 1, 5], field[2:22, 2:18] = 255, 255
        parts = {
            f"images/{number:02}_{folder}.tif": encoded(noise(number, 24, 20, 3), "TIFF"),
            f"1st_manual/{number:02}_manual1.gif": encoded(mask, "GIF"),
            f"mask/{number:02}_{folder}_mask.gif": encoded(field, "GIF"),
        }
        for name, content in parts.items():
            if f"{folder}/{name}" != lacking:
                yield f"DRIVE/{folder}/{name}", content


def test_drive_has_its_official_split_and_fields_of_view(tmp_path: Path) -> None:
    files = {"DRIVE.zip": zipped(tmp_path / "DRIVE.zip", drive_members())}
    fold = drive.read(files, crop=16)[0]
    train, val, test = fold.training.train, fold.training.val, fold.test
    assert train.ids.tolist() == [f"{number}" for number in range(21, 37)]
    assert val.ids.tolist() == ["37", "38", "39", "40"]
    assert test.ids.tolist() == [f"{number:02}" for number in range(1, 21)]
    assert test.columns["image"].shape == test.columns["field"].shape == (20, 24, 20)
    assert test.columns["field"].sum() == 20 * 20 * 16
    assert test.columns["mask"].sum((1, 2)).tolist() == [*range(2, 21), 1]
    levels = np.array(Image.fromarray(noise(1, 24, 20, 3)).convert("L"))
    assert np.array_equal(test.columns["image"][0], levels)
    own = fold.training.schema
    assert own["centre"] == pytest.approx(train.columns["image"].mean())
    upstream = drive.read(files, crop=16, constants="upstream", multiple=32)[0].training.schema
    assert (upstream["centre"], upstream["spread"]) == (83.59488677978516, 54.175140380859375)
    assert (own["multiple"], upstream["multiple"]) == (1, 32)


def test_drive_in_colour_is_what_was_taken_and_of_the_same_parts(tmp_path: Path) -> None:
    files = {"DRIVE.zip": zipped(tmp_path / "DRIVE.zip", drive_members())}
    fold, gray = (drive.read(files, crop=16, colour=colour)[0] for colour in (True, False))
    assert np.array_equal(fold.test.columns["image"][0], noise(1, 24, 20, 3))
    assert fold.training.schema == {
        "height": 24, "width": 20, "centre": 0.0, "spread": 255.0, "crop": 16, "multiple": 1, "colour": True,
    }  # fmt: skip
    pairs = (
        (fold.training.train, gray.training.train),
        (fold.training.val, gray.training.val),
        (fold.test, gray.test),
    )
    for one, two in pairs:
        assert one.ids.tolist() == one.units.tolist() == two.ids.tolist()
        assert all(np.array_equal(one.columns[name], two.columns[name]) for name in ("mask", "field"))
    assert drive.read(files, crop=16, colour=True, shrink=2)[0].training.schema["shrink"] == 2
    with pytest.raises(BenchmarkError, match=r"Type data\.colour=true"):
        drive.read(files, shrink=2)


def test_a_download_of_drive_without_labels_of_the_test_images_is_told_so(tmp_path: Path) -> None:
    members = drive_members("test/1st_manual/07_manual1.gif")
    files = {"DRIVE.zip": zipped(tmp_path / "DRIVE.zip", members)}
    with pytest.raises(BenchmarkError, match=r"holds no test/1st_manual/07_manual1\.gif.*older ones have it"):
        drive.read(files)


def tarred(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def stare_files(folder: Path, count: int = 20) -> dict[str, Path]:
    names = [f"im{7 * number:04}" for number in range(count)]
    labels = [np.where(noise(number, 18, 22) > 200, 255, 0).astype(np.uint8) for number in range(count)]
    images = {f"{name}.ppm.gz": noise(number, 18, 22, 3) for number, name in enumerate(names)}
    return {
        "stare-images.tar": tarred(
            folder / "stare-images.tar",
            {f"./{name}": gzip.compress(encoded(image, "PPM")) for name, image in images.items()},
        ),
        "labels-ah.tar": tarred(
            folder / "labels-ah.tar",
            {
                f"{name}.ah.ppm.gz": gzip.compress(encoded(label, "PPM"))
                for name, label in zip(names, labels, strict=True)
            },
        ),
    }


def test_every_image_of_stare_is_tested_once_and_never_where_it_trains(tmp_path: Path) -> None:
    files = stare_files(tmp_path)
    folds = stare.read(files, crop=16)
    assert [fold.name for fold in folds] == ["fold1", "fold2", "fold3", "fold4", "fold5"]
    tested = np.concatenate([fold.test.ids for fold in folds])
    assert len(tested) == len(set(tested)) == 20
    for fold in folds:
        parts = (fold.training.train, fold.training.val, fold.test)
        assert tuple(map(len, parts)) == (12, 4, 4)
        assert len(set(np.concatenate([part.ids for part in parts]))) == 20
        assert fold.training.schema["centre"] == pytest.approx(fold.training.train.columns["image"].mean(), rel=1e-6)
    place = int(folds[1].test.ids[0][2:]) // 7
    assert np.array_equal(folds[1].test.columns["mask"][0], noise(place, 18, 22) > 200)
    assert [len(fold.test) for fold in stare.read(files, crop=0, folds=20)] == [1] * 20
    with pytest.raises(BenchmarkError, match=r"3 to 20\. Type data\.folds=5"):
        stare.read(files, folds=2)


def test_stare_in_colour_has_the_same_turns(tmp_path: Path) -> None:
    files = stare_files(tmp_path)
    folds, gray = (stare.read(files, crop=16, colour=colour) for colour in (True, False))
    for one, two in zip(folds, gray, strict=True):
        assert (one.name, one.test.ids.tolist()) == (two.name, two.test.ids.tolist())
        assert np.array_equal(one.test.columns["mask"], two.test.columns["mask"])
        assert one.training.schema["colour"]
    place = int(folds[3].test.ids[1][2:]) // 7
    assert np.array_equal(folds[3].test.columns["image"][1], noise(place, 18, 22, 3))


def test_an_archive_of_stare_that_is_none_is_refused(tmp_path: Path) -> None:
    files = stare_files(tmp_path, 4)
    files["labels-ah.tar"].write_text("a page that says: not found")
    with pytest.raises(BenchmarkError, match="is no tar archive"):
        stare.read(files)


def test_the_last_fifth_of_sirst_aug_is_validation(tmp_path: Path) -> None:
    members = [
        (f"sirst_aug/{part}/{kind}/{number:06}.png", encoded(noise(number, 12, 12), "PNG"))
        for part, count in (("trainval", 10), ("test", 3))
        for kind in ("images", "masks")
        for number in range(count)
    ]
    fold = sirst_aug.read({"sirst_aug.zip": zipped(tmp_path / "sirst_aug.zip", members)}, size=0)[0]
    assert fold.training.train.ids.tolist() == [f"trainval/{number:06}" for number in range(8)]
    assert fold.training.val.ids.tolist() == ["trainval/000008", "trainval/000009"]
    assert fold.test.ids.tolist() == ["test/000000", "test/000001", "test/000002"]
    assert np.array_equal(fold.test.columns["mask"][2], noise(2, 12, 12) > 127)
    empty = {"sirst_aug.zip": zipped(tmp_path / "empty.zip", members[:5])}
    with pytest.raises(BenchmarkError, match=r"holds no trainval/masks/000000\.png|holds no test/images"):
        sirst_aug.read(empty)


WHOLE = {
    "neu_seg_sample": (neu_seg, "NEU_Seg.zip", "NEU_Seg-da8cebed/"),
    "sd_saliency_900_sample": (sd_saliency, "MCITF.zip", "MCITF-776c590e/SD-saliency-900/"),
}


@pytest.mark.parametrize("name", WHOLE)
def test_an_archive_of_real_files_is_read_as_the_files_are(mirror: Path, tmp_path: Path, name: str) -> None:
    reader, archive, before = WHOLE[name]
    found = fetch(load_card(name), progress=False)
    members = ((before + path, place.read_bytes()) for path, place in found.items())
    packed = reader.read({archive: zipped(tmp_path / archive, members)})[0]
    plain = open_bundle(name, progress=False).folds[0]
    pairs = [(packed.training.train, plain.training.train), (packed.training.val, plain.training.val)]
    for one, two in [*pairs, (packed.test, plain.test)]:
        assert one.ids.tolist() == two.ids.tolist()
        assert np.array_equal(one.columns["image"], two.columns["image"])
        assert np.array_equal(one.columns["mask"], two.columns["mask"])


def test_the_official_constants_of_chase_are_those_of_all_its_images(mirror: Path) -> None:
    """Which is what leaks: images of the test split are among them."""
    own, upstream = (
        open_bundle("chase_db1", {"constants": constants}, progress=False).folds[0].training.schema
        for constants in ("train", "upstream")
    )
    fold = open_bundle("chase_db1", progress=False).folds[0]
    parts = (fold.training.train, fold.training.val, fold.test)
    levels = np.concatenate([part.columns["image"] for part in parts]).reshape(28, -1)
    assert upstream["centre"] == pytest.approx(levels.mean(1).mean(), abs=1e-4)
    assert upstream["spread"] == pytest.approx(levels.astype(np.float64).std(1).mean(), abs=1e-4)
    assert own["centre"] == pytest.approx(levels[:16].mean(1).mean(), abs=1e-9)
    assert abs(own["centre"] - upstream["centre"]) > 0.1


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sirst_aug", "sirst_aug.zip"),
        ("drive", "DRIVE.zip"),
        ("stare", "stare-images.tar"),
        ("neu_seg", "NEU_Seg.zip"),
        ("sd_saliency_900", "MCITF.zip"),
    ],
)
def test_what_has_to_be_had_by_hand_is_told_with_its_place(data_cache: Path, name: str, file: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        open_bundle(name, progress=False)
    text = str(caught.value)
    assert "https://" in text
    assert f"Put it at {data_cache / name / file}" in text
