"""Pairs of photographs: which ones train, what is drawn, what errors say, and how degraded the real ones are."""

from __future__ import annotations

import io
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.datasets.bundle import Split
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import pair_pixels, photo_pairs
from benchmarks.datasets.readers.cbsd68 import degraded, mosaic
from benchmarks.datasets.thumbnails import shared
from benchmarks.errors import BenchmarkError
from photo_archives import SIZE, encoded, images, parts_of, picture, zipped


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., dict[str, Path]]:
    """Makes an archive of one's own: 5 pairs to train and 2 to test, with some members replaced or (None) left out."""

    def make(**changed: np.ndarray | bytes | None) -> dict[str, Path]:
        members = images(
            *(
                f"{part}/{kind}/{number}.png"
                for part, count in (("train", 5), ("test", 2))
                for kind in ("input", "target")
                for number in range(count)
            )
        )
        for short, pixels in changed.items():
            path = f"{short.replace('_', '/')}.png"
            if pixels is None:
                del members[path]
            else:
                members[path] = pixels if isinstance(pixels, bytes) else encoded(pixels, path)
        return {"pairs.zip": zipped(tmp_path / "pairs.zip", members)}

    return make


OWN: dict[str, Any] = {"train": "train", "test": "test"}


def test_shots_are_nested_and_drawn_by_the_seed(own: Callable[..., dict[str, Path]]) -> None:
    files = own()

    def ids(shots: int, seed: int) -> list[str]:
        return photo_pairs.read(files, **OWN, pairs=shots, seed=seed)[0].training.train.ids.tolist()

    assert set(ids(1, 0)) < set(ids(2, 0)) < set(ids(3, 0)) < set(ids(4, 0)) == set(ids(0, 0))
    assert ids(2, 0) == ids(2, 0) == sorted(ids(2, 0))
    assert len({tuple(ids(2, seed)) for seed in range(8)}) > 1
    folds = [photo_pairs.read(files, **OWN, pairs=2, seed=seed)[0] for seed in (0, 1)]
    assert folds[0].test.ids.tolist() == folds[1].test.ids.tolist()
    assert folds[0].training.val.ids.tolist() == folds[1].training.val.ids.tolist()
    with pytest.raises(BenchmarkError, match=r"data\.pairs=9 is more than the 4 pairs for training"):
        ids(9, 0)


def test_squares_of_a_pair_lie_at_one_place(own: Callable[..., dict[str, Path]]) -> None:
    whole = photo_pairs.read(own(), **OWN)[0]
    cut = photo_pairs.read(own(), **OWN, tile=16, tiles=3, crop=16)[0]
    train = cut.training.train
    assert len(train) == 3 * len(whole.training.train) == 12
    assert cut.test.columns["image"].shape == (2, 16, 16, 3)
    assert np.array_equal(cut.test.columns["clean"], whole.test.columns["clean"][:, 2:18, 4:20])
    assert len(set(train.ids.tolist())) == 12
    for row, name in enumerate(train.ids.tolist()):
        path, place = name.split(" ")
        top, left = map(int, place.split(","))
        source = whole.training.train.ids.tolist().index(path)
        for column in ("image", "clean"):
            pixels = whole.training.train.columns[column][source]
            assert np.array_equal(train.columns[column][row], pixels[top : top + 16, left : left + 16])
    again = photo_pairs.read(own(), **OWN, tile=16, tiles=3, seed=0)[0].training.train
    assert np.array_equal(again.columns["image"], train.columns["image"])


def test_of_pictures_that_are_cut_only_the_squares_are_held(
    own: Callable[..., dict[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[weakref.ref[np.ndarray]] = []
    held: list[int] = []

    def decode(contents: Any, real: Callable[[Any], list[np.ndarray]] = pair_pixels.read_alike) -> list[np.ndarray]:
        held.append(sum(reference() is not None for reference in decoded))
        both = [np.array(pixels) for pixels in real(contents)]
        decoded.extend(map(weakref.ref, both))
        return both

    monkeypatch.setattr(pair_pixels, "read_alike", decode)
    photo_pairs.read(own(), **OWN, tile=8, tiles=2, crop=8)
    assert len(decoded) == 14
    assert max(held) <= 2  # the pair before this one


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, "PNG")
    return buffer.getvalue()


def test_gray_transparent_and_deep_images_become_eight_bits_of_three_colours(
    own: Callable[..., dict[str, Path]],
) -> None:
    gray, colours = picture(90)[..., 0], picture(91)
    opacity = np.dstack([colours, picture(92)[..., 0]])
    deep = gray.astype(np.uint16) * 257
    files = own(test_input_0=gray, test_target_0=png(colours, "P"), test_input_1=png(opacity), test_target_1=png(deep))
    test = photo_pairs.read(files, **OWN)[0].test
    assert np.array_equal(test.columns["image"][0], np.repeat(gray[..., None], 3, 2))
    assert np.array_equal(test.columns["image"][1], colours)
    assert np.array_equal(test.columns["clean"][1], np.repeat(gray[..., None], 3, 2))
    assert test.columns["clean"][0].shape == (*SIZE, 3)


def test_deep_images_of_a_pair_are_on_one_scale(own: Callable[..., dict[str, Path]]) -> None:
    clean = np.linspace(200, 4000, 480).reshape(SIZE).round().astype(np.uint16)
    noisy = (clean + np.random.default_rng(0).normal(0, 100, SIZE).clip(-150, None)).round().astype(np.uint16)
    assert noisy.max() > 4095 > clean.max()  # by itself, one would be of 16 bits and the other of 12
    test = photo_pairs.read(own(test_input_0=png(noisy), test_target_0=png(clean)), **OWN)[0].test
    image, truth = (test.columns[name][0].astype(float) for name in ("image", "clean"))
    assert np.abs(image[..., 0] - noisy / 257).max() <= 1
    assert np.abs(truth[..., 0] - clean / 257).max() <= 1


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({"train_target_3": None}, {}, r"train/input/3\.png has no partner pairs/train/target/3\.png"),
        ({"train_target_3": picture(0, 20, 25)}, {}, r"is 20 x 24 and its clean partner 20 x 25"),
        (
            {"train_input_1": picture(0, 30, 31), "train_target_1": picture(1, 30, 31)},
            {},
            r"20 x 24 and .* 30 x 31; images of one part need one size\. Type data\.tile=20",
        ),
        (
            {"test_input_1": picture(0, 30, 31), "test_target_1": picture(1, 30, 31)},
            {},
            r"images of one part need one size\. Type data\.crop=20",
        ),
        (
            {"test_input_1": picture(0, 3, 31), "test_target_1": picture(1, 3, 31)},
            {},
            r"3 x 31; images need 16 pixels along each side",
        ),
        ({"test_input_1": b"no image"}, {}, r"cannot be read as an image"),
        ({}, {"crop": 21}, r"data\.crop=21 is larger than 'train/input/3\.png', 20 x 24"),
        ({}, {"tile": 64}, r"data\.tile=64 is larger than .* Type data\.tile=20"),
        ({}, {"image": "{part}/noisy/{name}"}, r"No path ends as data\.image=\{part\}/noisy/\{name\} says; there are 14"),
        ({}, {"clean": "{part}/target/{number}"}, r"has \{number\}, which data\.image=.* has not"),
        ({}, {"test": ""}, r"No pair is for test"),
        ({}, {"val_units": 5}, r"5 units are for training, of which data\.val_units=5"),
        ({}, {"pairs": -1}, r"are 0 or more"),
        ({}, {"every": 0}, r"are 1 or more"),
        ({}, {"lists": "train.txt, test.txt", "columns": "image clean"}, r"There is no train\.txt, which data\.lists names"),
        ({}, {"lists": "train.txt", "columns": "image clean"}, r"two lists, of training and of test"),
    ],
)  # fmt: skip
def test_pairs_that_cannot_be_used_are_told_so(
    own: Callable[..., dict[str, Path]], changed: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(BenchmarkError, match=message):
        photo_pairs.read(own(**changed), **{**OWN, **options})


def psnr(split: Split) -> np.ndarray:
    """In dB, of each pair."""
    error = split.columns["image"].astype(np.float64) - split.columns["clean"]
    return 10 * np.log10(255**2 / np.square(error).mean((1, 2, 3)))


def test_polyu_is_split_by_scene_and_as_noisy_as_is_known(mirror: Path) -> None:
    """The figures of the files when OpenCV decodes them; Pillow's are the same to a thousandth of a dB."""
    parts = parts_of(open_bundle("polyu", {"pairs": 0, "crop": 0}, progress=False).folds[0])
    found = np.concatenate([psnr(part) for part in parts])
    assert len(found) == 100
    assert found.mean() == pytest.approx(35.969, abs=2e-3)
    assert (found.min(), found.max()) == pytest.approx((31.092, 41.004), abs=2e-3)
    scenes = [set(part.units.tolist()) for part in parts]
    assert [len(part) for part in scenes] == [11, 3, 15]
    assert len(set.union(*scenes)) == 29
    order = np.random.default_rng(7).permutation(29)
    by_name = sorted(set.union(*scenes))
    assert scenes[0] | scenes[1] == {by_name[number] for number in order[:14]}


def test_the_short_protocol_of_polyu_has_27_squares(mirror: Path) -> None:
    test = open_bundle("polyu", {"crop": 256, "every": 2}, progress=False).folds[0].test
    assert test.columns["image"].shape == (27, 256, 256, 3)
    assert psnr(test).mean() == pytest.approx(36.324, abs=2e-3)
    for seed in (0, 1):
        train = open_bundle("polyu", {"pairs": 16, "seed": seed}, progress=False).folds[0].training.train
        assert len(train) == 16
        assert not set(train.units.tolist()) & set(test.units.tolist())


def test_cc15_is_tested_and_polyu_trains(mirror: Path) -> None:
    whole = {"pairs": 0, "crop": 0}
    fold, polyu = (open_bundle(name, whole, progress=False).folds[0] for name in ("cc15", "polyu"))
    assert psnr(fold.test).mean() == pytest.approx(33.414, abs=2e-3)
    assert len(fold.test) == 15
    for name in ("train", "val"):
        one, two = getattr(fold.training, name), getattr(polyu.training, name)
        assert np.array_equal(one.columns["image"], two.columns["image"])


def test_rain_on_photographs_of_bsds_is_as_strong_as_is_known(mirror: Path) -> None:
    parts = parts_of(open_bundle("rain_bsd20", progress=False).folds[0])
    assert [len(part) for part in parts] == [8, 2, 10]
    assert np.concatenate([psnr(part) for part in parts]).mean() == pytest.approx(20.875, abs=2e-3)


def test_pictures_of_cbsd68_are_degraded_alike_in_every_run(mirror: Path) -> None:
    few = open_bundle("cbsd68", {"every": 17, "pairs": 4}, progress=False).folds[0]
    assert len(few.test) == 4
    assert few.test.columns["image"].shape[1:] == (321, 481, 3)
    # Uncut noise of 25 levels has 20.17 dB; what is cut at black and white raises it.
    assert psnr(few.test).mean() == pytest.approx(20.5, abs=0.3)
    other = open_bundle("cbsd68", {"every": 34, "pairs": 2, "seed": 3}, progress=False).folds[0]
    assert np.array_equal(few.test.columns["image"][::2], other.test.columns["image"])
    assert set(few.test.conditions.tolist()) == {"noise 25"}  # type: ignore[union-attr]
    with pytest.raises(BenchmarkError, match="level of jpeg is 1 to 100"):
        open_bundle("cbsd68", {"degradation": "jpeg", "level": 101.0}, progress=False)


def test_mosaics_and_few_levels_are_what_they_say() -> None:
    image = picture(5, 10, 7)
    tiles = mosaic(image, 4)
    assert tiles.shape == image.shape
    for top in range(0, 10, 4):
        for left in range(0, 7, 4):
            mean = image[top : top + 4, left : left + 4].astype(float).mean((0, 1))
            part = tiles[top : top + 4, left : left + 4]
            assert np.array_equal(part, np.broadcast_to(np.rint(mean), part.shape))
    few = degraded(image, "quantise", 2, np.random.default_rng(0))
    assert np.array_equal(few, np.where(image > 127, 255, 0))


def named(split: Split, column: str = "clean") -> dict[str, np.ndarray]:
    return dict(zip(split.ids.tolist(), split.columns[column], strict=True))


def test_copies_are_found_turned_mirrored_and_compressed() -> None:
    from scipy.ndimage import gaussian_filter

    smooth = [gaussian_filter(picture(seed, 64, 80).astype(float), (6, 6, 0)) for seed in range(3)]
    photos = {
        str(number): (128 + 8 * (image - 128)).clip(0, 255).astype(np.uint8) for number, image in enumerate(smooth)
    }
    with Image.open(io.BytesIO(encoded(np.rot90(photos["1"])[:, ::-1].copy(), "a.jpg"))) as again:
        copy = np.asarray(again)
    assert shared(photos, {"copy": copy}) == [("1", "copy")]
    assert shared(photos, {"new": picture(9, 64, 80)}) == []
    assert shared({}, photos) == []


def test_no_picture_of_pretraining_is_in_a_test_set(mirror: Path) -> None:
    """Nor is one of validation; of rain_bsd20 also what trains is left out, and `without` names a picture that was in it."""
    training = (
        open_bundle("prod_photos", {"patch": 64, "samples": 1, "val_samples": 1}, progress=False).folds[0].training
    )
    train, val = (list(part.columns["clean"].photos) for part in (training.train, training.val))  # type: ignore[attr-defined]
    photos = {str(number): photo for number, photo in enumerate(train + val)}
    assert len(photos) == 137
    light = {"degradation": "quantise", "pairs": 1}
    for name, options in (("cbsd68", light), ("polyu", {"pairs": 1}), ("cc15", {"pairs": 1})):
        assert shared(photos, named(open_bundle(name, options, progress=False).folds[0].test)) == []
    rain = {}
    for part in parts_of(open_bundle("rain_bsd20", progress=False).folds[0]):
        rain |= named(part)
    assert shared(photos, rain) == []
    from benchmarks.datasets.readers.object_masks import read_colours

    left_out = read_colours(mirror / "bsds500" / "train" / "196015.jpg")
    assert shared({"left out": left_out}, rain) == [("left out", "input_val/input2.png")]
