"""A piece of the ground as a picture: the same scale in both directions, y upwards, a grid and a bar that tell the scale."""

from __future__ import annotations

import numpy as np

from benchmarks.canvas import FAINT, PAPER, SOFT, Canvas

ROUND = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
MARGIN = 12
"""Pixels."""
LEAST = 2.0
"""What is shown from side to side at least, so that a crowd that stands still is not magnified."""


class Plane(Canvas):
    """A canvas on which lines and dots are drawn at points of the ground; those in `shown` [n, 2] fit into it.

    Widths, radii and the places of words stay in pixels.
    """

    def __init__(self, width: int, height: int, shown: np.ndarray) -> None:
        super().__init__(width, height)
        low, high = shown.min(0), shown.max(0)
        room = np.array([width, height]) - 2 * MARGIN
        self.scale = float((room / np.maximum(high - low, LEAST * room / room.max())).min())
        """Pixels a unit of the ground."""
        self._centre = (low + high) / 2
        self.unit = next((size for size in reversed(ROUND) if size * self.scale <= 0.22 * width), ROUND[0])
        """A round length that is well seen: from line to line of the grid, and that of the bar."""

    def at(self, points: np.ndarray) -> np.ndarray:
        """Points of the ground in pixels."""
        middle = np.array([self.width, self.height]) / 2
        return middle + (np.asarray(points) - self._centre) * (self.scale, -self.scale)

    def line(self, points: np.ndarray, colour: str, width: float = 1.0) -> None:
        super().line(self.at(points), colour, width)

    def dots(self, points: np.ndarray, colour: str, radius: float) -> None:
        super().dots(self.at(points), colour, radius)

    def grid(self, colour: str = FAINT) -> None:
        """Lines at whole multiples of the unit."""
        reach = np.array([self.width, self.height]) / self.scale / 2
        for axis in (0, 1):
            first, last = np.ceil((self._centre - reach) / self.unit)[axis], ((self._centre + reach) / self.unit)[axis]
            for place in np.arange(first, last) * self.unit:
                ends = np.stack([self._centre - reach, self._centre + reach])
                ends[:, axis] = place
                self.line(ends, colour, 1)

    def bar(self, unit: str) -> None:
        """The bar at the bottom left, with its length in `unit`."""
        y, x = self.height - 12, 12
        end = x + self.unit * self.scale
        super().line(np.array([(x - 6, y - 7), (end + 6, y - 7)]), PAPER, 30)
        for ends in ([(x, y), (end, y)], [(x, y - 3), (x, y + 3)], [(end, y - 3), (end, y + 3)]):
            super().line(np.array(ends), SOFT, 1.5)
        self.text((x + 4, y - 5), f"{self.unit:g} {unit}", 12, SOFT)
