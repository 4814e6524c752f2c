"""Images with masks: decoding and resizing, and the real data sets by their published facts."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import irstd_archive, sim_infrared
from benchmarks.datasets.readers.object_masks import (
    fold_of,
    narrowed,
    read_colours,
    read_gray,
    resize_bilinear,
    resize_nearest,
    split_of,
)
from benchmarks.datasets.readers.vessels import vessel_fold
from benchmarks.errors import BenchmarkError

OPENCV = [[32, 125, 218, 54], [94, 187, 55, 116], [155, 216, 85, 178]]
"""What cv2.resize makes of the 5 x 7 levels (37 row + 53 column) mod 256 at 3 x 4 (OpenCV 5.0)."""


@pytest.mark.parametrize("size", [(9, 13), (40, 7), (23, 31), (256, 256)])
def test_resizing_is_that_of_torch_with_half_pixel_centres_and_without_smoothing(size: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (23, 31)).astype(np.uint8)
    source = torch.from_numpy(image)[None, None].double()
    soft = interpolate(source, size, mode="bilinear", align_corners=False)[0, 0].numpy()
    difference = resize_bilinear(image, *size) - soft
    assert np.abs(difference).max() <= 1
    assert np.abs(difference).mean() < 0.3
    assert np.array_equal(resize_nearest(image, *size), interpolate(source, size, mode="nearest")[0, 0].numpy())


def test_every_mode_of_an_image_is_read_as_luminance(tmp_path: Path) -> None:
    gray = np.arange(0, 240, 20, dtype=np.uint8).reshape(3, 4)
    image = Image.fromarray(gray)
    for mode in ("L", "RGB", "RGBA", "P"):
        image.convert(mode).save(tmp_path / f"{mode}.png")
        assert np.array_equal(read_gray(tmp_path / f"{mode}.png"), gray)
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "wide.png")
    assert np.array_equal(read_gray(tmp_path / "wide.png"), gray)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(BenchmarkError, match=r"text\.png cannot be read as an image"):
        read_gray(tmp_path / "text.png")


def test_wider_levels_keep_what_a_byte_can_hold(tmp_path: Path) -> None:
    levels = np.arange(0, 256, 5, dtype=np.uint16).reshape(4, 13)
    Image.fromarray(levels * 16 + 15).save(tmp_path / "twelve.png")
    assert np.array_equal(read_gray(tmp_path / "twelve.png"), levels)
    Image.fromarray(levels).save(tmp_path / "eight.png")
    assert np.array_equal(read_gray(tmp_path / "eight.png"), levels)
    fractions = levels.astype(np.float32) / 255
    fractions[0, 0] = np.nan
    Image.fromarray(fractions).save(tmp_path / "fractions.tif")
    colours = read_colours(tmp_path / "fractions.tif")
    expected = np.rint(255 * (levels - 5.0) / 250)
    assert np.abs(colours[..., 1] - expected).ravel()[1:].max() <= 1
    assert not colours[0, 0].any()
    assert not narrowed(np.full((2, 2), 0.7)).any()


def test_resizing_repeats_bits_of_opencv() -> None:
    image = (np.arange(5)[:, None] * 37 + np.arange(7) * 53) % 256
    assert resize_bilinear(image.astype(np.uint8), 3, 4).tolist() == OPENCV


def test_a_photograph_is_turned_as_its_notes_say_and_several_frames_are_refused(tmp_path: Path) -> None:
    shown = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    notes = Image.Exif()
    notes[0x0112] = 6  # the first row is the right side
    Image.fromarray(np.rot90(shown)).save(tmp_path / "turned.png", exif=notes)
    assert np.array_equal(read_gray(tmp_path / "turned.png"), shown)
    assert np.array_equal(read_colours(tmp_path / "turned.png")[..., 1], shown)
    frames = [Image.fromarray(shown), Image.fromarray(shown[::-1].copy())]
    frames[0].save(tmp_path / "two.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(BenchmarkError, match=r"two\.tif has 2 frames\. Give one image a file"):
        read_gray(tmp_path / "two.tif")


def test_images_of_several_sizes_need_one_and_masks_must_fit(tmp_path: Path) -> None:
    for name, shape in (("a", (8, 10)), ("b", (16, 20)), ("c", (8, 20))):
        Image.fromarray(np.full(shape, 255, np.uint8)).save(tmp_path / f"{name}.png")

    def pairs(mask: str):
        return lambda name: (tmp_path / f"{name}.png", tmp_path / f"{mask or name}.png")

    assert split_of(["a", "b"], pairs(""), 6).columns["image"].shape == (2, 6, 6)
    with pytest.raises(BenchmarkError, match=r"data\.size=256"):
        split_of(["a", "b"], pairs(""), 0)
    assert split_of(["a"], pairs("b"), 6).columns["mask"].all()
    for mask, size in (("b", 0), ("c", 6)):
        with pytest.raises(BenchmarkError, match="must have one size"):
            split_of(["a"], pairs(mask), size)


def test_standardising_uses_train_alone() -> None:
    bundle = open_bundle("sim_infrared", {"images": 10, "size": 16}, progress=False)
    train, val, test = bundle.folds[0].training.train, bundle.folds[0].training.val, bundle.folds[0].test
    schema = vessel_fold("stare", (train, val, test), "train", 16, 1)[0].training.schema
    levels = train.columns["image"].astype(float)
    assert schema["centre"] == pytest.approx(levels.mean())
    assert schema["spread"] == pytest.approx(np.mean([image.std() for image in levels]))
    leaking = vessel_fold("stare", (train, val, test), "upstream", 16, 32)[0].training.schema
    assert (leaking["centre"], leaking["spread"], leaking["multiple"]) == (98.16558837890625, 52.33002853393555, 32)
    with pytest.raises(BenchmarkError, match="Did you mean 'train'"):
        vessel_fold("stare", (train, val, test), "tarin", 16, 1)
    with pytest.raises(BenchmarkError, match="larger than the images"):
        fold_of(train, val, test, crop=17)


def test_simulated_images_are_seeded_and_some_hold_no_target() -> None:
    one, two, other = (sim_infrared.read({}, images=40, size=32, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(one.test.columns["image"], two.test.columns["image"])
    assert not np.array_equal(one.test.columns["image"], other.test.columns["image"])
    masks = one.training.train.columns["mask"]
    assert 0 < masks.any((1, 2)).mean() < 1
    assert masks.mean() < 0.05
    with pytest.raises(BenchmarkError, match="at least 10"):
        sim_infrared.read({}, images=5)


FACTS = {
    "sirst": ((256, 85, 86), (256, 256), (10419, 3253, 3355)),
    "sirst_320": ((160, 64, 96), (256, 256), (5491, 2238, 2969)),
    "neu_seg_sample": ((65, 16, 60), (200, 200), (311377, 84434, 342205)),
    "sd_saliency_900_sample": ((42, 6, 12), (200, 200), (216997, 26747, 57742)),
    "chase_db1": ((16, 4, 8), (960, 999), (1161678, 216790, 483506)),
}
"""Images of train, val and test, their size, and pixels of objects; of sirst's test, 3,355 = 2,655 + 700 as published."""


@pytest.mark.parametrize("name", FACTS)
def test_real_data_have_the_published_counts_and_no_image_in_two_parts(mirror: Path, name: str) -> None:
    fold = open_bundle(name, progress=False).folds[0]
    parts = (fold.training.train, fold.training.val, fold.test)
    counts, size, pixels = FACTS[name]
    assert tuple(map(len, parts)) == counts
    assert all(part.columns["image"].shape[1:] == size for part in parts)
    assert tuple(int(part.columns["mask"].sum()) for part in parts) == pixels
    ids = np.concatenate([part.ids for part in parts])
    assert len(np.unique(ids)) == sum(counts)


def test_no_target_of_sirst_vanishes_and_images_are_the_original_ones(mirror: Path) -> None:
    from scipy.ndimage import label

    fold = open_bundle("sirst", progress=False).folds[0]
    targets = [
        sum(label(mask, np.ones((3, 3)))[1] for mask in part.columns["mask"])
        for part in (fold.training.train, fold.training.val, fold.test)
    ]
    assert targets == [327, 97, 109]


def test_an_archive_is_read_wherever_its_folders_are_and_by_its_lists(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    names = [f"{number:03}" for number in range(10)]
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        for name in names[:-1]:
            for folder in ("images", "masks"):
                buffer = io.BytesIO()
                Image.fromarray((random.random((12, 12)) > 0.5).astype(np.uint8) * 255).save(buffer, "PNG")
                archive.writestr(f"Toy/{folder}/{name}.png", buffer.getvalue())
    files = {"toy.zip": tmp_path / "toy.zip"}
    for part, listed in (("train", names[:5]), ("test", names[5:9])):
        files[f"{part}_toy.txt"] = tmp_path / f"{part}.txt"
        files[f"{part}_toy.txt"].write_text("\n".join(listed))
    fold = irstd_archive.read(files, lists="toy", size=8)[0]
    assert (len(fold.training.train), len(fold.training.val), fold.test.ids.tolist()) == (4, 1, names[5:9])
    assert sorted([*fold.training.train.ids, *fold.training.val.ids]) == names[:5]
    files["test_toy.txt"].write_text("009")
    with pytest.raises(BenchmarkError, match=r"holds no images/009\.png"):
        irstd_archive.read(files, lists="toy")
    (tmp_path / "toy.zip").write_text("no archive")
    with pytest.raises(BenchmarkError, match="no zip archive"):
        irstd_archive.read(files, lists="toy")


def test_lists_of_the_community_have_their_published_lengths(mirror: Path) -> None:
    for name, lengths in (("nudt_sirst", (663, 664)), ("irstd1k", (800, 201))):
        card = load_card(name)
        lists = [file.path for file in card.required if file.path.endswith(".txt")]
        found = fetch(card, files=lists, progress=False)
        assert tuple(len(path.read_text().split()) for path in found.values()) == lengths
        with pytest.raises(BenchmarkError, match="drives of their authors"):
            fetch(card, progress=False)
