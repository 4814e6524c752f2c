"""The legend of a plot: every series with its mark, below the axes, where it covers no point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from benchmarks.leaderboard.report.svg import HEIGHT, LEFT, RIGHT, WIDTH, shape, tag

LINE = 20
LETTER = 6.2
"""Units that a letter of the legend takes, on average."""


@dataclass(frozen=True)
class Key:
    """A series: its name, colour and shape, and the class of its line where it has one."""

    name: str
    colour: int
    form: int
    line: str | None = None


def legend(keys: Sequence[Key]) -> tuple[Markup, int]:
    """All series in as many columns as their names leave room for, and the height of the drawing with it."""
    room, lead = WIDTH - LEFT - RIGHT, 36 if any(key.line for key in keys) else 16
    columns = max(1, min(4, int(room / (lead + 8 + LETTER * max(len(key.name) for key in keys)))))
    lines = -(-len(keys) // columns)
    top = HEIGHT + LINE
    parts = []
    for index, key in enumerate(keys):
        x, y = LEFT + (index // lines) * (room / columns), top + (index % lines) * LINE
        mark = shape(key.form, x + lead / 2 - 4, y)
        if key.line:
            mark = tag("path", d=f"M{x:.1f},{y} h28", class_=f"{key.line} series-{key.colour}") + mark
        parts.append(tag("g", mark, class_=f"legend series-{key.colour}"))
        parts.append(tag("text", _shortened(key.name, room - lead), x=f"{x + lead:.1f}", y=y + 4, class_="tick"))
    return Markup("").join(parts), top + (lines - 1) * LINE + 12


def _shortened(name: str, room: float) -> str:
    most = int((room - 8) / LETTER)
    return name if len(name) <= most else f"{name[: most - 1]}\N{HORIZONTAL ELLIPSIS}"
