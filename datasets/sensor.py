"""Sensors: centres and widths of their bands in nanometres, from small YAML files in sensors/."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.errors import BenchmarkError, unknown

SENSORS = Path(__file__).parent / "sensors"


class Sensor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sensor's bands in the order of its products: `centre` and full width at half maximum `fwhm`, in nanometres.

    `layouts` are named sets of bands, as places in these lists, where a publication fixes them.
    """

    name: str
    source: str
    centre: list[float]
    fwhm: list[float]
    bands: list[str] = []
    layouts: dict[str, list[int]] = {}

    def __post_init__(self) -> None:
        if len(self.centre) != len(self.fwhm) or (self.bands and len(self.bands) != len(self.centre)):
            raise ValueError(f"{self.name} has {len(self.centre)} centres and {len(self.fwhm)} widths of its bands")
        if min(self.centre) <= 0 or min(self.fwhm) <= 0:
            raise ValueError(f"centres and widths of {self.name} must be positive")


@cache
def sensor(name: str) -> Sensor:
    """The sensor of that name; raises BenchmarkError with the nearest one, or for a file that is none."""
    known = {path.stem: path for path in SENSORS.glob("*.yaml")}
    if name not in known:
        raise unknown("sensor", name, known)
    try:
        return msgspec.yaml.decode(known[name].read_bytes(), type=Sensor)
    except msgspec.ValidationError as error:
        raise BenchmarkError(f"{known[name]} cannot be used: {error}.") from error


def nearest_bands(wanted: np.ndarray, given: np.ndarray) -> np.ndarray:
    """For each wavelength of `wanted` [k] the place of the nearest one of `given` [c]; ties go to the first."""
    return np.abs(np.asarray(wanted)[:, None] - np.asarray(given)[None]).argmin(1)
