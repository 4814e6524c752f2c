"""Pictures with smooth edges from Pillow: lines and dots are drawn three times as large and made smaller, text is not."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

FINE = 3
"""Pixels drawn for a pixel of the picture, in either direction."""

TEXT, TITLE = 13, 17
"""Sizes of letters."""
INK, SOFT, FAINT, PAPER = "#24292f", "#6e7781", "#e6e9ed", "#ffffff"
"""Text, side notes, grids and frames, background."""
BLUE, NAVY, VERMILLION = "#0072b2", "#00375c", "#d55e00"
"""Colours that the colour-blind tell apart (Okabe and Ito 2008), and a darker blue."""

Place = tuple[float, float]


class Stroke(NamedTuple):
    """A line of a legend: what it means, its colours from left to right, its width and the radius of its dots."""

    words: str
    colours: Sequence[str]
    width: float
    dots: float = 0


class Canvas:
    """A picture of so many pixels. Places are in pixels from the top left; a canvas inside another is cut at its edges."""

    def __init__(self, width: int, height: int, background: str = PAPER) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * FINE, height * FINE), background)
        self._draw = ImageDraw.Draw(self._image)
        self._texts: list[tuple[Place, str, int, str, str]] = []

    def line(self, points: np.ndarray, colour: str, width: float = 1.0) -> None:
        """A path through points [n, 2]."""
        thick = max(1, round(width * FINE))
        self._draw.line(_fine(points), fill=colour, width=thick, joint="curve" if thick > FINE else None)

    def dots(self, points: np.ndarray, colour: str, radius: float) -> None:
        """A disc at each of the points [n, 2]."""
        for x, y in np.asarray(points) * FINE:
            r = radius * FINE
            self._draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    def image(self, place: tuple[int, int], colours: np.ndarray, zoom: int = 1) -> None:
        """An image uint8 [h, w, 3] with its top left corner at a place, every pixel `zoom` pixels wide."""
        large = colours.repeat(zoom * FINE, 0).repeat(zoom * FINE, 1)
        self._image.paste(Image.fromarray(large), (place[0] * FINE, place[1] * FINE))

    def frame(self, colour: str = FAINT) -> None:
        """A line around the picture."""
        edge = self.width * FINE - 1, self.height * FINE - 1
        self._draw.rectangle((0, 0, *edge), outline=colour, width=FINE)

    def text(self, place: Place, words: str, size: int = TEXT, colour: str = INK, anchor: str = "ls") -> None:
        """Words; `anchor` is Pillow's: left, middle or right, then ascender, middle, baseline or descender."""
        self._texts.append((place, words, size, colour, anchor))

    def legend(self, place: Place, strokes: Sequence[Stroke]) -> None:
        """Samples of lines in a row, each with its meaning behind it; they stand on the text line of a place."""
        x, y = place
        for stroke in strokes:
            step = 34 / len(stroke.colours)
            for colour in stroke.colours:
                ends = np.array([(x, y - 4), (x + step, y - 4)])
                Canvas.line(self, ends, colour, stroke.width)
                if stroke.dots:
                    Canvas.dots(self, ends + step / 4 * np.array([(1, 0), (-1, 0)]), colour, stroke.dots)
                x += step
            self.text((x + 6, y), stroke.words)
            x += _font(TEXT).getlength(stroke.words) + 28

    def put(self, other: Canvas, place: tuple[int, int]) -> None:
        """Another picture with its top left corner at a place."""
        self._image.paste(other._image, (place[0] * FINE, place[1] * FINE))
        for (x, y), words, size, colour, anchor in other._texts:
            self.text((x + place[0], y + place[1]), words, size, colour, anchor)

    def save(self, path: Path, *, colours: int | None = 256) -> None:
        """Writes a PNG file of 256 colours, which lines on a plain background do not exceed to the eye; None leaves all."""
        image = self._image.reduce(FINE)
        draw = ImageDraw.Draw(image)
        for place, words, size, colour, anchor in self._texts:
            draw.text(place, words, fill=colour, font=_font(size), anchor=anchor)
        if colours is not None:
            image = image.quantize(colours, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        image.save(path)


def tint(colour: str, opacity: float) -> str:
    """What a colour of an opacity from 0 to 1 looks like on the background, in steps of one in a hundred."""
    return _tint(colour, round(100 * opacity))


@cache
def _tint(colour: str, percent: int) -> str:
    over, under = (np.array(ImageColor.getrgb(name)) for name in (colour, PAPER))
    return "#" + np.rint(under + percent / 100 * (over - under)).astype(np.uint8).tobytes().hex()


@cache
def _font(size: int) -> Any:
    return ImageFont.load_default(size)


def _fine(points: np.ndarray) -> list[float]:
    return (np.asarray(points) * FINE).ravel().tolist()
