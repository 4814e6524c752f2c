"""Official layouts of sets that are had by hand, as made-up archives: which pairs are found, and in which part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from photo_archives import images, parts_of, picture, zipped


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
    options = {"pairs": 0, **{option: 0 for option in ("crop", "tile") if option in load_card(name).options}}
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
    test = open_bundle("gopro", {"pairs": 0}, progress=False).folds[0].test
    for name, image, clean in zip(test.ids.tolist(), test.columns["image"], test.columns["clean"], strict=True):
        path = f"GOPRO_Large/{name}"
        assert np.array_equal(image, picture(numbers[path]))
        assert np.array_equal(clean, picture(numbers[path.replace("/blur/", "/sharp/")]))
    assert test.units.tolist() == ["GOPR0384_11_00"] * 2 + ["GOPR0385_11_00"] * 2


def test_blocks_of_sidd_keep_their_order(data_cache: Path) -> None:
    folder = data_cache / "sidd"
    folder.mkdir(parents=True)
    zipped(folder / "SIDD_Medium_Srgb.zip", sidd(folder))
    test = open_bundle("sidd", {"pairs": 0, "tile": 0, "crop": 0}, progress=False).folds[0].test
    noisy = np.random.default_rng(5).integers(0, 256, (2, 3, 8, 8, 3), np.uint8)
    assert np.array_equal(test.columns["image"][4], noisy[1, 1])
    assert test.ids[4] == "image 1 block 1"
    assert test.units.tolist() == ["image 0"] * 3 + ["image 1"] * 3


def test_one_kind_of_rainds_alone_is_a_task(data_cache: Path) -> None:
    zipped(data_cache / "rainds" / "RainDS.zip", rainds(data_cache))
    options: dict[str, Any] = {"pairs": 0, "tile": 0, "crop": 0, "kinds": "raindrop"}
    fold = open_bundle("rainds", options, progress=False).folds[0]
    assert {part.conditions[0] for part in parts_of(fold) if part.conditions is not None} == {"raindrop"}
    assert tuple(map(len, parts_of(fold))) == (2, 10, 2)


def test_test_set_b_of_deraindrop_is_another_part(data_cache: Path) -> None:
    folder = data_cache / "deraindrop"
    folder.mkdir(parents=True)
    zipped(folder / "train.zip", deraindrop(folder))
    assert len(open_bundle("deraindrop", {"pairs": 0, "test": "test_b"}, progress=False).folds[0].test) == 3
    with pytest.raises(BenchmarkError, match=r"No pair is of the part 'test_c' that data\.test names.*test_a, test_b"):
        open_bundle("deraindrop", {"pairs": 0, "test": "test_c"}, progress=False)


def test_lines_of_a_list_that_lead_nowhere_are_named(data_cache: Path) -> None:
    members = realblur(data_cache)
    members["RealBlur_J_test_list.txt"] += b"\nscene099/gt/gt_1.png scene099/blur/blur_1.png"
    zipped(data_cache / "realblur_j" / "RealBlur.zip", members)
    with pytest.raises(BenchmarkError, match=r"RealBlur_J_test_list\.txt, line 7: the image of"):
        open_bundle("realblur_j", {"pairs": 0}, progress=False)
    members["RealBlur_J_test_list.txt"] = members["RealBlur_J_train_list.txt"]
    zipped(data_cache / "realblur_j" / "RealBlur.zip", members)
    with pytest.raises(BenchmarkError, match="is in both lists"):
        open_bundle("realblur_j", {"pairs": 0}, progress=False)


@pytest.mark.parametrize("name", [*LAYOUTS, "pairs", "photos"])
def test_what_has_to_be_had_by_hand_is_told_with_its_place(data_cache: Path, name: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        open_bundle(name, progress=False)
    first = load_card(name).files[0].path
    assert f"Put it at {data_cache / name / first}" in str(caught.value)
