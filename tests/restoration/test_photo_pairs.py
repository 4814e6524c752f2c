"""Pairs of photographs: official layouts, which pairs train, what is drawn, and what errors say."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import photo_pairs
from benchmarks.datasets.readers.cbsd68 import degraded, mosaic
from benchmarks.datasets.thumbnails import shared
from benchmarks.errors import BenchmarkError

SIZE = (20, 24)


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*(shape or SIZE), 3), np.uint8)


def encoded(pixels: np.ndarray, name: str) -> bytes:
    buffer = io.BytesIO()
    kind = "JPEG" if name.lower().endswith(("jpg", "jpeg")) else "PNG"
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._junk_real.png", b"junk")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def images(*paths: str) -> dict[str, bytes]:
    return {path: encoded(picture(number), path) for number, path in enumerate(paths)}


def parts_of(fold: Fold) -> list[Split]:
    return [fold.training.train, fold.training.val, fold.test]


def sidd(folder: Path) -> dict[str, bytes]:
    for name in ("Noisy", "Gt"):
        blocks = np.random.default_rng(len(name)).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
        savemat(folder / f"Validation{name}BlocksSrgb.mat", {f"Validation{name}BlocksSrgb": blocks})
    scenes = [f"{number:04}_001_S6_00100_00060_3200_L" for number in range(1, 12)]
    return images(
        *(
            f"SIDD_Medium_Srgb/Data/{scene}/{scene[:4]}_{kind}_SRGB_{shot}.PNG"
            for scene in scenes
            for shot in ("010", "011")
            for kind in ("GT", "NOISY")
        )
    )


def realblur(folder: Path) -> dict[str, bytes]:
    top = "RealBlur-J_ECC_IMCORR_centroid_itensity_ref"
    pairs = [
        (f"{top}/scene{scene:03}/gt/gt_{number}.png", f"{top}/scene{scene:03}/blur/blur_{number}.png")
        for scene in range(1, 16)
        for number in range(1, 3)
    ]
    lines = [" ".join(pair) for pair in pairs]
    return {
        **images(*(path for pair in pairs for path in pair)),
        "RealBlur_J_train_list.txt": "\n".join(lines[:24]).encode(),
        "RealBlur_J_test_list.txt": "\n".join(lines[24:]).encode(),
    }


def spa(folder: Path) -> dict[str, bytes]:
    train = [
        (f"real_world/{video:03}/{video:03}-1/{video:03}-1_{x}.png", f"real_world_gt/{video:03}/{video:03}-1_{x}.png")
        for video in range(12)
        for x in range(2)
    ]
    test = [(f"real_test_1000/rain/{number:03}.png", f"real_test_1000/gt/{number:03}gt.png") for number in range(3)]
    return {
        **images(*(path for pair in train + test for path in pair)),
        "real_world.txt": "\r\n".join(f"./{image} ./{clean}" for image, clean in train).encode(),
        "real_test_1000.txt": "\n".join(f"/{image} /{clean}" for image, clean in test).encode(),
    }


def realrain(letter: str) -> Callable[[Path], dict[str, bytes]]:
    return lambda folder: images(
        *(
            f"RealRain-1k-{letter}/{part}/{kind}/{number}.png"
            for part, count in (("train", 4), ("val", 2), ("test", 3))
            for kind in ("input", "target")
            for number in range(count)
        )
    )


def rainds(folder: Path) -> dict[str, bytes]:
    kinds = ("gt", "raindrop", "rainstreak", "rainstreak_raindrop")
    return images(
        *(
            f"RainDS/RainDS_real/{part}/{kind}/{number}.png"
            for part, numbers in (("train_set", range(12)), ("test_set", range(20, 22)))
            for kind in kinds
            for number in numbers
        ),
        "RainDS/RainDS_real/test_set/rainstreak/IMG_7435.png",
    )


def deraindrop(folder: Path) -> dict[str, bytes]:
    for part, count in (("test_a", 2), ("test_b", 3)):
        ending = "png" if part == "test_a" else "jpg"
        zipped(
            folder / f"{part}.zip",
            images(
                *(f"{part}/{kind}.{ending}" for number in range(count) for kind in (f"data/{number}_rain", f"gt/{number}_clean"))
            ),
        )  # fmt: skip
    return images(
        *(f"data/{number}_rain.png" for number in range(36)), *(f"gt/{number}_clean.png" for number in range(36))
    )


def haze(before: str, hazy: str, clear: str, count: int) -> Callable[[Path], dict[str, bytes]]:
    numbers = range(1, count + 1)
    return lambda folder: images(
        *(before + hazy.format(number) for number in numbers), *(before + clear.format(number) for number in numbers)
    )


def lol(folder: Path) -> dict[str, bytes]:
    return images(
        *(
            f"LOLdataset/{part}/{kind}/{number}.png"
            for part, numbers in (("our485", range(20)), ("eval15", range(100, 103)))
            for kind in ("low", "high")
            for number in numbers
        )
    )


def gopro(folder: Path) -> dict[str, bytes]:
    return images(
        *(
            f"GOPRO_Large/{part}/GOPR0{scene}_11_00/{kind}/{number:06}.png"
            for part, scenes in (("train", (372, 374, 378)), ("test", (384, 385)))
            for scene in scenes
            for kind in ("blur", "blur_gamma", "sharp")
            for number in (47, 48)
        )
    )


LAYOUTS: dict[str, tuple[str, Callable[[Path], dict[str, bytes]], tuple[int, int, int], str]] = {
    "sidd": ("SIDD_Medium_Srgb.zip", sidd, (6, 16, 6), "noise"),
    "realblur_j": ("RealBlur.zip", realblur, (4, 10, 6), "blur"),
    "spa": ("spa.zip", spa, (4, 20, 3), "rain"),
    "realrain1k_l": ("RealRain-1k-L.zip", realrain("L"), (4, 2, 3), "rain"),
    "realrain1k_h": ("RealRain-1k-H.zip", realrain("H"), (4, 2, 3), "rain"),
    "rainds": ("RainDS.zip", rainds, (6, 30, 6), "raindrop rainstreak rainstreak_raindrop"),
    "deraindrop": ("train.zip", deraindrop, (4, 32, 2), "raindrop"),
    "o_haze": ("O-HAZE.zip", haze("# O-HAZY/", "hazy/{:02}_outdoor_hazy.jpg", "GT/{:02}_outdoor_GT.jpg", 14), (4, 5, 5), "haze"),
    "nh_haze": ("NH-HAZE.zip", haze("NH-HAZE/", "{:02}_hazy.png", "{:02}_GT.png", 13), (3, 5, 5), "haze"),
    "dense_haze": ("Dense_Haze_NTIRE19.zip", haze("", "hazy/{:02}_hazy.png", "GT/{:02}_GT.png", 12), (2, 5, 5), "haze"),
    "lol": ("LOLdataset.zip", lol, (5, 15, 3), "low light"),
    "gopro": ("GOPRO_Large.zip", gopro, (2, 4, 4), "blur"),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_archive_in_its_official_layout_is_read(data_cache: Path, name: str) -> None:
    """All pairs of the drawn parts, a hidden partner for none, units in one part each."""
    archive, layout, counts, conditions = LAYOUTS[name]
    folder = data_cache / name
    folder.mkdir(parents=True)
    members = layout(folder)
    zipped(folder / archive, members)
    options = {"shots": 0, **{option: 0 for option in ("crop", "tile") if option in load_card(name).options}}
    if "tiles" in load_card(name).options:
        options["tiles"] = 1
    fold = open_bundle(name, options, progress=False).folds[0]
    parts = parts_of(fold)
    assert tuple(map(len, parts)) == counts
    units = [set(part.units.tolist()) for part in parts]
    assert not units[0] & units[1]
    assert not (units[0] | units[1]) & units[2]
    for part in parts:
        assert part.columns["image"].dtype == part.columns["clean"].dtype == np.uint8
        assert part.columns["image"].shape == part.columns["clean"].shape
        assert not any(np.array_equal(*pair) for pair in zip(part.columns["image"], part.columns["clean"], strict=True))
        assert part.conditions is not None
        assert set(part.conditions.tolist()) <= set(conditions.split()) | {conditions}


def test_the_partner_of_an_image_is_its_own(data_cache: Path) -> None:
    """By the numbers from which the made-up pixels were drawn."""
    members = gopro(data_cache)
    numbers = {path: number for number, path in enumerate(members)}
    zipped(data_cache / "gopro" / "GOPRO_Large.zip", members)
    test = open_bundle("gopro", {"shots": 0}, progress=False).folds[0].test
    for name, image, clean in zip(test.ids.tolist(), test.columns["image"], test.columns["clean"], strict=True):
        path = f"GOPRO_Large/{name}"
        assert np.array_equal(image, picture(numbers[path]))
        assert np.array_equal(clean, picture(numbers[path.replace("/blur/", "/sharp/")]))
    assert test.units.tolist() == ["GOPR0384_11_00"] * 2 + ["GOPR0385_11_00"] * 2


def test_blocks_of_sidd_keep_their_order(data_cache: Path) -> None:
    folder = data_cache / "sidd"
    folder.mkdir(parents=True)
    zipped(folder / "SIDD_Medium_Srgb.zip", sidd(folder))
    test = open_bundle("sidd", {"shots": 0, "tile": 0, "crop": 0}, progress=False).folds[0].test
    noisy = np.random.default_rng(5).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    assert np.array_equal(test.columns["image"][4], noisy[1, 1])
    assert test.ids[4] == "image 1 block 1"
    assert test.units.tolist() == ["image 0"] * 3 + ["image 1"] * 3


def test_one_kind_of_rainds_alone_is_a_task(data_cache: Path) -> None:
    zipped(data_cache / "rainds" / "RainDS.zip", rainds(data_cache))
    options: dict[str, Any] = {"shots": 0, "tile": 0, "crop": 0, "kinds": "raindrop"}
    fold = open_bundle("rainds", options, progress=False).folds[0]
    assert {part.conditions[0] for part in parts_of(fold) if part.conditions is not None} == {"raindrop"}
    assert tuple(map(len, parts_of(fold))) == (2, 10, 2)


def test_test_set_b_of_deraindrop_is_another_part(data_cache: Path) -> None:
    folder = data_cache / "deraindrop"
    folder.mkdir(parents=True)
    zipped(folder / "train.zip", deraindrop(folder))
    assert len(open_bundle("deraindrop", {"shots": 0, "test": "test_b"}, progress=False).folds[0].test) == 3
    with pytest.raises(BenchmarkError, match=r"No pair is of the part 'test_c' that data\.test names.*test_a, test_b"):
        open_bundle("deraindrop", {"shots": 0, "test": "test_c"}, progress=False)


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
        return photo_pairs.read(files, **OWN, shots=shots, seed=seed)[0].training.train.ids.tolist()

    assert set(ids(1, 0)) < set(ids(2, 0)) < set(ids(3, 0)) < set(ids(4, 0)) == set(ids(0, 0))
    assert ids(2, 0) == ids(2, 0) == sorted(ids(2, 0))
    assert len({tuple(ids(2, seed)) for seed in range(8)}) > 1
    folds = [photo_pairs.read(files, **OWN, shots=2, seed=seed)[0] for seed in (0, 1)]
    assert folds[0].test.ids.tolist() == folds[1].test.ids.tolist()
    assert folds[0].training.val.ids.tolist() == folds[1].training.val.ids.tolist()
    with pytest.raises(BenchmarkError, match=r"data\.shots=9 is more than the 4 pairs for training"):
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
        ({}, {"shots": -1}, r"are 0 or more"),
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


def test_lines_of_a_list_that_lead_nowhere_are_named(data_cache: Path) -> None:
    members = realblur(data_cache)
    members["RealBlur_J_test_list.txt"] += b"\nscene099/gt/gt_1.png scene099/blur/blur_1.png"
    zipped(data_cache / "realblur_j" / "RealBlur.zip", members)
    with pytest.raises(BenchmarkError, match=r"RealBlur_J_test_list\.txt, line 7: the image of"):
        open_bundle("realblur_j", {"shots": 0}, progress=False)
    members["RealBlur_J_test_list.txt"] = members["RealBlur_J_train_list.txt"]
    zipped(data_cache / "realblur_j" / "RealBlur.zip", members)
    with pytest.raises(BenchmarkError, match="is in both lists"):
        open_bundle("realblur_j", {"shots": 0}, progress=False)


@pytest.mark.parametrize("name", [*LAYOUTS, "pairs", "photos"])
def test_what_has_to_be_had_by_hand_is_told_with_its_place(data_cache: Path, name: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        open_bundle(name, progress=False)
    first = load_card(name).files[0].path
    assert f"Put it at {data_cache / name / first}" in str(caught.value)


def psnr(split: Split) -> np.ndarray:
    """In dB, of each pair."""
    error = split.columns["image"].astype(np.float64) - split.columns["clean"]
    return 10 * np.log10(255**2 / np.square(error).mean((1, 2, 3)))


def test_polyu_is_split_by_scene_and_as_noisy_as_is_known(mirror: Path) -> None:
    """The figures of the files when OpenCV decodes them; Pillow's are the same to a thousandth of a dB."""
    parts = parts_of(open_bundle("polyu", {"shots": 0, "crop": 0}, progress=False).folds[0])
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
        train = open_bundle("polyu", {"shots": 16, "seed": seed}, progress=False).folds[0].training.train
        assert len(train) == 16
        assert not set(train.units.tolist()) & set(test.units.tolist())


def test_cc15_is_tested_and_polyu_trains(mirror: Path) -> None:
    whole = {"shots": 0, "crop": 0}
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
    few = open_bundle("cbsd68", {"every": 17, "shots": 4}, progress=False).folds[0]
    assert len(few.test) == 4
    assert few.test.columns["image"].shape[1:] == (321, 481, 3)
    # Uncut noise of 25 levels has 20.17 dB; what is cut at black and white raises it.
    assert psnr(few.test).mean() == pytest.approx(20.5, abs=0.3)
    other = open_bundle("cbsd68", {"every": 34, "shots": 2, "seed": 3}, progress=False).folds[0]
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
    light = {"degradation": "quantise", "shots": 1}
    for name, options in (("cbsd68", light), ("polyu", {"shots": 1}), ("cc15", {"shots": 1})):
        assert shared(photos, named(open_bundle(name, options, progress=False).folds[0].test)) == []
    rain = {}
    for part in parts_of(open_bundle("rain_bsd20", progress=False).folds[0]):
        rain |= named(part)
    assert shared(photos, rain) == []
    from benchmarks.datasets.readers.object_masks import read_colours

    left_out = read_colours(mirror / "bsds500" / "train" / "196015.jpg")
    assert shared({"left out": left_out}, rain) == [("left out", "input_val/input2.png")]
