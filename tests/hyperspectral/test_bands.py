"""Sets of bands: published and ruled layouts, other sensors by spectral response, and what networks of fixed bands do."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.datasets.bands import band_sets, chosen, every, resampled, response, spread_layouts
from benchmarks.datasets.readers.indian_pines import usual_wavelengths
from benchmarks.datasets.sensor import sensor
from benchmarks.errors import BenchmarkError
from benchmarks.models.hyperspectral.own_bands import OwnBands


def enmap() -> np.ndarray:
    """The 202 bands of SpectralEarth, from short to long."""
    known = sensor("enmap")
    return np.sort(np.array(known.centre)[known.layouts["all"]])


def test_published_layouts_have_their_counts() -> None:
    known = sensor("enmap")
    centre, sets = np.array(known.centre), {name: set(rows) for name, rows in known.layouts.items()}
    assert {name: len(rows) for name, rows in sets.items()} == {"id": 120, "shifted": 120, "complement": 82, "all": 202}
    assert len(sets["id"] & sets["shifted"]) == 64
    assert sets["complement"] == sets["all"] - sets["id"]
    below = {name: int((centre[list(rows)] < 1000).sum()) for name, rows in sets.items()}
    assert below == {"id": 80, "shifted": 40, "complement": 21, "all": 101}
    assert (enmap()[0], enmap()[-1]) == (418.24, 2445.53)


def test_sentinel_2_on_enmap_has_the_support_that_the_authors_code_gives() -> None:
    known = sensor("sentinel2")
    with pytest.warns(UserWarning, match="Bands of Sentinel-2 at 1375 nm lie beyond"):
        kept, weights = response(np.array(known.centre), np.array(known.fwhm), enmap(), "Sentinel-2")
    assert (weights > 0).sum(1).tolist() == [12, 35, 21, 14, 7, 7, 8, 56, 8, 13, 14, 61]
    assert np.array(known.bands)[kept].tolist() == [name for name in known.bands if name != "B10"]
    np.testing.assert_allclose(weights.sum(1), 1)


def test_a_straight_spectrum_is_seen_at_the_centre_of_the_other_sensors_bands() -> None:
    wavelengths = np.arange(400.0, 2500.0, 5.0)
    cube = (2 * wavelengths + 3)[None, :, None, None]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = resampled("x", wavelengths, np.array([800.0, 500.0, 1600.0]), np.array([50.0, 20.0, 80.0]))
    np.testing.assert_allclose(seen.take(cube)[0, :, 0, 0], 2 * np.array([500.0, 800.0, 1600.0]) + 3, rtol=1e-4)
    hole = cube.copy()
    hole[0, wavelengths == 800.0] = np.nan
    assert np.isnan(seen.take(hole)[0, :, 0, 0]).tolist() == [False, True, False]
    with (
        pytest.raises(BenchmarkError, match=r"No band of x lies within those of the data, 400 to 2495 nm"),
        pytest.warns(),
    ):
        resampled("x", wavelengths, np.array([3000.0]), np.array([50.0]))


def test_ruled_layouts_share_nothing_and_exchange_their_numbers() -> None:
    wavelengths = usual_wavelengths()
    layouts = spread_layouts(wavelengths, 16, 8)
    below = {name: int((wavelengths[rows] < 1000).sum()) for name, rows in layouts.items()}
    assert {name: len(rows) for name, rows in layouts.items()} == {
        "id": 24,
        "shifted": 24,
        "complement": 176,
        "all": 200,
    }
    assert (below["id"], below["shifted"]) == (16, 8)
    assert not set(layouts["id"]) & set(layouts["shifted"])
    assert sorted([*layouts["id"], *layouts["complement"]]) == layouts["all"].tolist()
    for bands in band_sets(wavelengths, layouts).values():
        assert (np.diff(bands.wavelengths) >= 0).all()


def test_sensors_with_too_few_bands_are_told_what_to_type() -> None:
    with pytest.raises(BenchmarkError, match="The data have one band"):
        spread_layouts(np.array([500.0]))
    few = np.array(sensor("sentinel2").centre, float)
    with pytest.raises(
        BenchmarkError, match=r"needs 24 bands below 1000 nm, .* have 10\. Type .* data\.visible=1 data\.infrared=1"
    ):
        spread_layouts(few)
    assert [len(rows) for rows in spread_layouts(few, 1, 1).values()] == [2, 2, 11, 13]
    with pytest.raises(BenchmarkError, match=r"Unknown sensor 'enmpa'\. Did you mean 'enmap'"):
        sensor("enmpa")


def test_a_sensor_of_one_side_is_parted_where_that_is_typed_and_no_layout_is_empty() -> None:
    rosis = np.linspace(430, 860, 20)
    layouts = spread_layouts(rosis, 4, 2, boundary=645)
    assert [len(rows) for rows in layouts.values()] == [6, 6, 14, 20]
    assert (rosis[layouts["id"]] < 645).sum() == 4
    assert not set(layouts["id"]) & set(layouts["shifted"])
    with pytest.raises(BenchmarkError, match="leaves no band to train on"):
        spread_layouts(rosis, 0, 0, boundary=645)


def test_every_so_manyth_band_is_taken_in_order_of_wavelength() -> None:
    wavelengths = np.array([700.0, 500.0, 600.0, 400.0, 800.0])
    assert wavelengths[every(np.arange(5), wavelengths, 2)].tolist() == [400, 600, 800]
    assert wavelengths[every(np.arange(5), wavelengths, 3)].tolist() == [500, 800]
    assert wavelengths[every(np.arange(5), wavelengths, 9)].tolist() == [600]
    assert chosen("x", wavelengths, np.array([0, 3])).wavelengths.tolist() == [400, 700]


def test_aviris_has_the_centres_and_widths_of_its_calibration_file(mirror: Path) -> None:
    table = np.loadtxt(mirror / "indian_pines" / "92AV3C.spc", skiprows=2)
    known = sensor("aviris")
    np.testing.assert_allclose(known.centre, table[:, 0], atol=0.006)
    np.testing.assert_allclose(known.fwhm, table[:, 1], atol=0.006)
    wavelengths = usual_wavelengths()
    assert len(wavelengths) == 200
    assert wavelengths.max() == pytest.approx(2489.11, abs=0.01)


def test_rules_of_networks_with_fixed_bands() -> None:
    own, given = [500.0, 600.0, 700.0, 900.0], torch.tensor([480.0, 600.5, 780.0])
    cube = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    seen = {rule: OwnBands(own, rule)(cube, given).flatten().tolist() for rule in ("nearest", "zero", "interpolate")}
    assert seen["nearest"] == [1, 2, 4, 4]
    assert seen["zero"] == [0, 2, 0, 0]
    expected = np.interp(own, given.numpy(), [1.0, 2.0, 4.0])
    assert seen["interpolate"] == pytest.approx(expected.tolist())
    order = torch.tensor([2, 0, 1])
    for rule in seen:
        assert OwnBands(own, rule)(cube[:, order], given[order]).flatten().tolist() == pytest.approx(seen[rule])
        own_cube = torch.rand(2, 4, 3, 3)
        assert torch.equal(OwnBands(own, rule)(own_cube, torch.tensor(own)), own_cube)
    assert OwnBands(own, "interpolate")(cube[:, :1], given[:1]).flatten().tolist() == [1, 1, 1, 1]
    with pytest.raises(ValueError, match="band_rule must be one of nearest, interpolate, zero, not 'zeros'"):
        OwnBands(own, "zeros")  # type: ignore[arg-type]
