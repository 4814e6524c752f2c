"""PROD: what is drawn how often, that a sample depends on its key alone, and each degradation against an outside rendering."""

from __future__ import annotations

import io
import math
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from benchmarks.datasets.photo_crops import CropColumn, ProdColumn
from benchmarks.datasets.prod import (
    DEGRADATIONS,
    MODES,
    blurred,
    compressed,
    draw,
    keyed,
    levels,
    line,
    moved,
    prod_sample,
    rain,
)
from benchmarks.errors import BenchmarkError


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Smooth colours with edges, float32 [48, 40, 3] from 0 to 1."""
    random = np.random.default_rng(0)
    image = ndimage.gaussian_filter(random.normal(size=(48, 40, 3)), (3, 3, 0))
    image = (image - image.min()) / np.ptp(image)
    image[10:20, 5:30] = random.uniform(size=3)
    return image.astype(np.float32)


def test_sizes_of_selections_and_their_first_are_uniform() -> None:
    recipes = [draw(keyed(3, index)) for index in range(1000)]
    first = Counter(recipe[0].name for recipe in recipes)
    assert set(first) == set(DEGRADATIONS)
    assert all(170 <= count <= 230 for count in first.values())
    sizes = Counter(len(recipe) for recipe in recipes)
    assert sorted(sizes) == [1, 2, 3, 4, 5]
    assert all(160 <= count <= 240 for count in sizes.values())
    assert all(len({step.name for step in recipe}) == len(recipe) for recipe in recipes)
    whole = Counter(tuple(step.name for step in recipe) for recipe in recipes if len(recipe) == 5)
    assert len(whole) > 80  # of 120 orders, in about 200 draws


def test_what_is_drawn_fills_its_range_and_no_more() -> None:
    found: dict[str, list[float]] = {}
    for index in range(1000):
        for step in draw(keyed(4, index)):
            for name, value in step.settings.items():
                found.setdefault(f"{step.name} {name}", []).append(value)
    ranges = {
        "blur sigma": (0.3, 3),
        "noise sigma": (1, 50),
        "rain density": (0.005, 0.04),
        "rain length": (9, 25),
        "rain angle": (math.pi / 2 - 0.6, math.pi / 2 + 0.6),
        "rain gain": (0.3, 0.9),
        "rain share": (0.4, 0.9),
        "jpeg quality": (15, 95),
        "motion length": (5, 21),
        "motion angle": (0, math.pi),
    }
    assert found.keys() == {*ranges, "noise by_channel"}
    for name, (low, high) in ranges.items():
        values = np.array(found[name])
        assert low <= values.min() < low + 0.05 * (high - low)
        assert high - 0.05 * (high - low) < values.max() <= high
        assert np.mean(values) == pytest.approx((low + high) / 2, abs=0.05 * (high - low))
    assert {value % 2 for value in found["motion length"] + found["rain length"]} == {1}
    assert np.mean(found["noise by_channel"]) == pytest.approx(0.6, abs=0.06)


def test_modes_are_what_the_ablation_names() -> None:
    names = {mode: [[step.name for step in draw(keyed(1, index), mode)] for index in range(60)] for mode in MODES}
    assert {len(recipe) for recipe in names["single"]} == {1}
    assert {recipe[0] for recipe in names["single"]} == set(DEGRADATIONS)
    assert all(recipe == list(DEGRADATIONS) for recipe in names["fixed"])
    assert not any(names["none"])
    assert [recipe[0] for recipe in names["single"]] == [recipe[0] for recipe in names["prod"]]


def test_a_sample_depends_on_its_key_alone(photo: np.ndarray) -> None:
    for mode in MODES:
        first, recipe = prod_sample(photo, 5, 17, mode)
        prod_sample(photo, 5, 18, mode)
        again, same = prod_sample(photo, 5, 17, mode)
        assert np.array_equal(first, again)
        assert recipe == same
        assert first.shape == photo.shape
        assert first.dtype == np.float32
        assert first is not photo
        assert -1e-6 < first.min() <= first.max() < 1 + 1e-6
    assert np.array_equal(prod_sample(photo, 5, 17, "none")[0], photo)
    others = [prod_sample(photo, *key, "fixed")[0] for key in ((5, 18), (6, 17))]
    assert not any(np.array_equal(other, prod_sample(photo, 5, 17, "fixed")[0]) for other in others)


def test_the_recipe_is_what_was_done(photo: np.ndarray) -> None:
    """Degradations that draw nothing more are applied again from the recipe alone."""
    redo = {
        "blur": lambda image, sigma: blurred(image, sigma),
        "jpeg": lambda image, quality: compressed(image, int(quality)),
        "motion": lambda image, length, angle: moved(image, int(length), angle),
    }
    tried = 0
    for index in range(200):
        made, recipe = prod_sample(photo, 8, index)
        if all(step.name in redo for step in recipe):
            image = photo
            for step in recipe:
                image = redo[step.name](image, **step.settings)
            assert np.array_equal(image, made)
            tried += len(recipe) > 1
    assert tried > 5


def test_gaussian_blur_is_the_normalised_bell_on_mirrored_pixels(photo: np.ndarray) -> None:
    for sigma in (0.3, 1.7, 3.0):
        reach = int(4 * sigma + 0.5)
        bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
        kernel = np.outer(bell, bell) / bell.sum() ** 2
        wide = np.pad(photo.astype(np.float64), ((reach, reach), (reach, reach), (0, 0)), "reflect")
        windows = np.lib.stride_tricks.sliding_window_view(wide, kernel.shape, (0, 1))
        expected = np.einsum("abcij,ij->abc", windows, kernel)
        assert np.allclose(blurred(photo, sigma), expected, atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, 0.4, math.pi / 4, math.pi / 2, 2.5])
def test_motion_is_the_mean_of_interpolated_points_on_a_line(photo: np.ndarray, angle: float) -> None:
    rows, columns = np.mgrid[: photo.shape[0], : photo.shape[1]].astype(np.float64)
    steps = range(-4, 5)
    expected = np.mean(
        [
            [
                ndimage.map_coordinates(
                    photo[..., channel].astype(np.float64),
                    [rows - step * math.sin(angle), columns + step * math.cos(angle)],
                    order=1,
                    mode="mirror",
                )
                for channel in range(3)
            ]
            for step in steps
        ],
        axis=0,
    )
    assert np.allclose(moved(photo, 9, angle), expected.transpose(1, 2, 0), atol=1e-5)


def test_a_line_is_as_long_and_as_steep_as_asked() -> None:
    for length in (5, 21):
        for angle in np.linspace(0, math.pi, 7):
            places, weights = line(length, angle)
            assert weights.sum() == pytest.approx(1)
            assert np.allclose(weights @ places, 0, atol=1e-9)
            spread = (weights[:, None] * places).T @ places
            values, vectors = np.linalg.eigh(spread)
            assert values[1] == pytest.approx((length**2 - 1) / 12, rel=0.1)
            assert abs(vectors[:, 1] @ [-math.sin(angle), math.cos(angle)]) > 0.99
    assert line(5, 0.0)[0].tolist() == [[0, column] for column in range(-2, 3)]


def test_noise_has_its_deviation_and_its_colours() -> None:
    gray = np.full((200, 200, 3), 0.5, np.float32)
    kinds = set()
    for index in range(12):
        made, (step,) = prod_sample(gray, 2, index, only="noise")
        assert (made - 0.5).std() == pytest.approx(step.settings["sigma"] / 255, rel=0.02)
        correlation = np.corrcoef((made - 0.5).reshape(-1, 3).T)[0, 1]
        assert correlation == pytest.approx(0 if step.settings["by_channel"] else 1, abs=0.03)
        kinds.add(step.settings["by_channel"])
    assert kinds == {0.0, 1.0}


def test_jpeg_is_that_of_pillow_with_halved_colour(photo: np.ndarray) -> None:
    for quality in (15, 50, 95):
        buffer = io.BytesIO()
        Image.fromarray(np.round(photo * 255).astype(np.uint8)).save(buffer, "JPEG", quality=quality, subsampling=2)
        with Image.open(buffer) as written:
            assert written.layer[0][1:3] == (2, 2)  # the luminance is sampled twice as often in both directions
            assert written.layer[1][1:3] == (1, 1)
            expected = np.asarray(written)
        assert np.array_equal(np.round(compressed(photo, quality) * 255).astype(np.uint8), expected)
    errors = [np.abs(compressed(photo, quality) - photo).mean() for quality in (15, 50, 95)]
    assert errors == sorted(errors, reverse=True)


def test_rain_brightens_along_its_line() -> None:
    dark = np.zeros((256, 256, 3), np.float32)
    made, (step,) = prod_sample(dark, 1, 5, only="rain")
    assert np.array_equal(made[..., 0], made[..., 1])
    assert 0 < made.max() <= step.settings["share"] + 1e-6
    settings = {"density": 0.01, "length": 21.0, "angle": math.pi / 2 + 0.5, "gain": 0.6, "share": 0.5}
    streaks = rain(keyed(0), (256, 256), settings)
    spectrum = np.abs(np.fft.fft2(streaks - streaks.mean())) ** 2
    rows, columns = np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256), indexing="ij")
    moments = [np.sum(spectrum * part) for part in (rows * rows, rows * columns, columns * columns)]
    _, vectors = np.linalg.eigh(np.array([[moments[0], moments[1]], [moments[1], moments[2]]]))
    # Energy in frequency is least along the streaks themselves.
    assert abs(vectors[:, 0] @ [-math.sin(settings["angle"]), math.cos(settings["angle"])]) > 0.98
    # A drop is as bright in sum as gain times length, where none is cut off.
    thin = rain(keyed(0), (256, 256), {**settings, "density": 0.001})
    drops = thin.sum() / (settings["share"] * settings["gain"] * settings["length"])
    assert drops == pytest.approx(0.001 * 256**2, rel=0.25)


def test_gray_levels_are_cut_and_halves_go_to_the_even_one() -> None:
    assert levels(np.array([-0.1, 0.5 / 255, 1.5 / 255, 2.0])).tolist() == [0, 0, 2, 255]


@pytest.mark.parametrize(
    ("clean", "mode", "only", "message"),
    [
        (np.zeros((8, 8)), "prod", "", r"given: \[8, 8\]"),
        (np.zeros((8, 8, 4)), "prod", "", r"given: \[8, 8, 4\]"),
        (np.zeros((8, 8, 3)), "prodd", "", "Valid: fixed, none, prod, single"),
        (np.zeros((8, 8, 3)), "prod", "fog", "Valid: blur, jpeg, motion, noise, rain"),
    ],
)
def test_what_cannot_be_degraded_is_refused(clean: np.ndarray, mode: str, only: str, message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        prod_sample(clean, 0, 0, mode, only)


def test_images_smaller_than_every_kernel_are_degraded_too() -> None:
    for size in ((1, 1), (2, 5)):
        made, recipe = prod_sample(np.full((*size, 3), 0.25, np.float32), 0, 0, "fixed")
        assert made.shape == (*size, 3)
        assert len(recipe) == 5


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    random = np.random.default_rng(1)
    return [random.integers(0, 256, (40 + 3 * number, 60 - 2 * number, 3), np.uint8) for number in range(4)]


def test_neither_order_nor_company_changes_a_sample(photos: list[np.ndarray]) -> None:
    for column in (CropColumn(photos, 24, 3, 50), ProdColumn(photos, 24, 3, 50)):
        whole = column[:]
        assert whole.shape == column.shape == (50, 24, 24, 3)
        assert whole.dtype == column.dtype
        order = np.random.default_rng(0).permutation(50)
        assert np.array_equal(column[order], whole[order])
        assert np.array_equal(np.concatenate([column[start : start + 7] for start in range(0, 50, 7)]), whole)
        assert np.array_equal(column[31], whole[31])
        assert np.array_equal(column[np.array([31, 31])], whole[[31, 31]])
        assert column[np.array([], np.int64)].shape == (0, 24, 24, 3)
        assert len({sample.tobytes() for sample in whole}) == 50
    assert not np.array_equal(CropColumn(photos, 24, 4, 50)[:], CropColumn(photos, 24, 3, 50)[:])


def test_all_modes_degrade_the_same_squares(photos: list[np.ndarray]) -> None:
    clean = CropColumn(photos, 24, 3, 20)[:]
    none = ProdColumn(photos, 24, 3, 20, "none")[:]
    assert np.array_equal(levels(none), clean)
    column = ProdColumn(photos, 24, 3, 20, "single")
    for index in range(20):
        made, recipe = column.degraded(index)
        assert np.array_equal(made, prod_sample(clean[index] / np.float32(255), 3, index, "single")[0])
        assert len(recipe) == 1


def test_squares_come_from_everywhere_mirrored_and_turned() -> None:
    """Of a picture whose levels are rows and columns, all places and all eight positions occur."""
    rows, columns = np.mgrid[:6, :9]
    picture = np.stack([rows, columns, np.zeros_like(rows)], 2).astype(np.uint8)
    squares = CropColumn([picture], 4, 0, 400)[:].astype(int)
    places = {(square[..., 0].min(), square[..., 1].min()) for square in squares}
    assert places == {(row, column) for row in range(3) for column in range(6)}
    positions = {(square - square.min((0, 1))).tobytes() for square in squares}
    assert len(positions) == 8
