"""Recordings of pedestrians: who stood where in which frame, from text, CSV and Trajnet++ files, checked row by row."""

from __future__ import annotations

import codecs
import csv
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.errors import BenchmarkError

log = logging.getLogger(__name__)

Rows = tuple[np.ndarray, Sequence[int]]
"""Frame, pedestrian, x and y as float64 [n, 4], and the line of each row in its file."""

COLUMNS = ("frame", "pedestrian", "x", "y")
NAMES = {"frame": ("frame",), "pedestrian": ("pedestrian", "ped", "agent", "id"), "x": ("x",), "y": ("y",)}
"""What each column may be called in a CSV file; the first name that the header has counts."""
PEDESTRIANS = 2**31
DECIMALS = 4
STEP_SECONDS = 0.4
FAST = 5.0
"""Median speed of those who move, in m/s, beyond which the unit is in doubt."""
MOVING = 0.02
"""Metres in a step; less is a person who stands, seen by an inexact annotator."""


@dataclass(frozen=True)
class Tracks:
    """Positions by frame and, within a frame, by pedestrian, each pair once.

    `frame` and `pedestrian` int64 [n], `xy` float64 [n, 2] in world metres; `source` names the recording in messages.
    """

    frame: np.ndarray
    pedestrian: np.ndarray
    xy: np.ndarray
    source: str

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def by_pedestrian(self) -> np.ndarray:
        """Rows in the order of pedestrians and, of each, of frames."""
        return np.lexsort((self.frame, self.pedestrian))

    def since(self, frame: int) -> Tracks:
        """The recording from a frame on."""
        rows = np.searchsorted(self.frame, frame)
        return Tracks(self.frame[rows:], self.pedestrian[rows:], self.xy[rows:], self.source)


def read_tracks(path: Path) -> Tracks:
    """The recording in a file, whose suffix tells the format.

    `.txt` and `.tsv` hold frame, pedestrian, x and y in this order between tabs or spaces, without a header; `.csv` has a
    header with these names in any order (pedestrian may be ped, agent or id) and may have other columns; `.ndjson` is
    Trajnet++, of which scenes and predictions are passed over. Rows stand in the order of frames, or pedestrian by
    pedestrian. Raises BenchmarkError with file, line and remedy for everything else, a pedestrian twice in a frame included.
    """
    if path.suffix.lower() not in FORMATS:
        raise BenchmarkError(
            f"{path} has the suffix '{path.suffix}'. Recordings end in {', '.join(FORMATS)}; "
            "a table with a header line is .csv, one without is .txt."
        )
    try:
        table, lines = FORMATS[path.suffix.lower()](path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkError(f"{path} cannot be read as text in UTF-8: {error}.") from error
    if not len(table):
        raise BenchmarkError(f"{path} holds no positions. A row is a frame, a pedestrian, x and y.")
    _require_numbers(path, table, lines)
    frame, pedestrian = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    _require_order(path, frame, pedestrian, lines)
    order = np.lexsort((pedestrian, frame))
    again = (np.diff(frame[order]) == 0) & (np.diff(pedestrian[order]) == 0)
    if again.any():
        first, second = order[np.flatnonzero(again)[0] :][:2]
        raise BenchmarkError(
            f"{path}, line {lines[second]}: pedestrian {pedestrian[second]} is in frame {frame[second]} twice (first in "
            f"line {lines[first]}). Keep one of the two, or give two persons two numbers."
        )
    return Tracks(frame[order], pedestrian[order], np.ascontiguousarray(table[order, 2:]), str(path))


def remarks(tracks: Tracks, step_seconds: float = STEP_SECONDS) -> list[str]:
    """What is doubtful about a recording without being wrong, a sentence or two each: speeds and gaps in paths."""
    found = []
    order = tracks.by_pedestrian
    frames, rank = np.unique(tracks.frame, return_inverse=True)
    step = np.flatnonzero((np.diff(tracks.pedestrian[order]) == 0) & (np.diff(rank[order]) == 1))
    metres = np.linalg.norm(tracks.xy[order[step + 1]] - tracks.xy[order[step]], axis=1)
    moving = metres[metres > MOVING]
    if len(moving) and (speed := float(np.median(moving)) / step_seconds) > FAST:
        found.append(
            f"{tracks.source}: those who move do {speed:.1f} m/s (median, {step_seconds:g} s a step), faster than anybody walks. "
            "If x and y are pixels, convert them to metres with the camera's homography or multiply them by metres per pixel."
        )
    usual = _most_frequent(np.diff(frames)) if len(frames) > 1 else 0
    odd = step[tracks.frame[order[step + 1]] - tracks.frame[order[step]] != usual]
    if len(odd):
        before, after = order[odd[0]], order[odd[0] + 1]
        found.append(
            f"{tracks.source}: steps that are not {usual} frames long count as {step_seconds:g} s like all others. There are "
            f"{len(odd)}, the first that of pedestrian {tracks.pedestrian[before]} from frame {tracks.frame[before]} to "
            f"{tracks.frame[after]}. Cut the file there, or fill in the frames between."
        )
    return found


def read_observed(
    path: Path, obs_len: int = 8, step_seconds: float = STEP_SECONDS
) -> tuple[Tracks, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Everybody who was seen in all of the last `obs_len` frames of a file: what a forecast is asked for.

    Returns the recording, `obs` float32 [n, obs_len, 2] in metres, and as int64 [n] the pedestrian (ascending), the frame of
    the last position and the window, which is 0. Whoever misses one of those frames is left out and logged, as `remarks`
    on the others are. Raises BenchmarkError where nobody is left.
    """
    tracks = read_tracks(path)
    frames = np.unique(tracks.frame)
    last = tracks.since(frames[-obs_len:][0])
    pedestrians, steps = np.unique(last.pedestrian, return_counts=True)
    short = [
        f"{pedestrian} ({n} of {obs_len})" for pedestrian, n in zip(pedestrians, steps, strict=True) if n < obs_len
    ]
    if len(short) == len(pedestrians):
        raise BenchmarkError(
            f"{path}: nobody is in all of the last {obs_len} frames; pedestrian {_several(short)}. A forecast needs {obs_len} "
            f"positions of a pedestrian, {step_seconds:g} s apart. Give more of them, or end the file where they are."
        )
    if short:
        log.warning(
            "%s: no forecast for pedestrian %s: not in all of the last %d frames.", path, _several(short), obs_len
        )
    for remark in remarks(last, step_seconds):
        log.warning("%s", remark)
    order = last.by_pedestrian
    order = order[np.isin(last.pedestrian[order], pedestrians[steps == obs_len])]
    obs = in_metres(last.xy[order].reshape(-1, obs_len, 2))
    return tracks, obs, pedestrians[steps == obs_len], np.full(len(obs), frames[-1]), np.zeros(len(obs), np.int64)


def in_metres(xy: np.ndarray) -> np.ndarray:
    """Positions as samples hold them: rounded to 0.1 mm in double precision, as the published loader does, then float32."""
    return np.around(xy, DECIMALS).astype(np.float32)


def _text(path: Path) -> Rows:
    text = path.read_text(encoding="utf-8-sig")
    if not text.strip():
        return np.empty((0, 4)), ()
    rows = text.splitlines()
    try:
        table = np.loadtxt(rows, comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape == (len(rows), len(COLUMNS)):
        return table, range(1, len(rows) + 1)
    # There are blank lines, or wrong ones: only then is each looked at.
    lines = [line for line, row in enumerate(rows, start=1) if row.strip()]
    return _parsed(path, [rows[line - 1].split() for line in lines], lines, COLUMNS, range(len(COLUMNS))), lines


def _csv(path: Path) -> Rows:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        header = [name.strip().lower() for name in next(reader, [])]
        names = {column: next((name for name in NAMES[column] if name in header), None) for column in COLUMNS}
        if missing := [column for column, name in names.items() if name is None]:
            raise BenchmarkError(
                f"{path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}. Given: "
                f"{', '.join(header) or 'none'}. The first line must name {', '.join(COLUMNS)}, with commas between."
            )
        rows = [(reader.line_num, row) for row in reader if row]
    lines = [line for line, _ in rows]
    places = [header.index(name) for name in names.values() if name is not None]
    return _parsed(path, [row for _, row in rows], lines, header, places), lines


class _Track(msgspec.Struct):
    f: float
    p: float
    x: float
    y: float
    prediction_number: int | None = None


class _Line(msgspec.Struct):
    track: _Track | None = None


def _ndjson(path: Path) -> Rows:
    decoder = msgspec.json.Decoder(_Line)
    rows, lines = [], []
    for line, text in enumerate(path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            track = decoder.decode(text).track
        except msgspec.DecodeError as error:
            raise BenchmarkError(
                f"{path}, line {line}: {error}. A line of Trajnet++ is "
                '{"track": {"f": 10, "p": 1, "x": 2.5, "y": 0.7}}, with numbers.'
            ) from error
        if track is not None and track.prediction_number is None:
            rows.append((track.f, track.p, track.x, track.y))
            lines.append(line)
    return np.array(rows, np.float64).reshape(-1, len(COLUMNS)), lines


FORMATS: dict[str, Callable[[Path], Rows]] = {".txt": _text, ".tsv": _text, ".csv": _csv, ".ndjson": _ndjson}


def _parsed(
    path: Path, rows: Sequence[Sequence[str]], lines: Sequence[int], header: Sequence[str], places: Sequence[int]
) -> np.ndarray:
    """The cells of the given columns as numbers; raises BenchmarkError with the line of the first wrong row."""
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(header):
            raise BenchmarkError(
                f"{path}, line {line}: {len(row)} value{'s' if len(row) > 1 else ''}, where {len(header)} belong: "
                f"{', '.join(header)}."
            )
    try:
        return np.array([[row[place] for place in places] for row in rows], np.float64).reshape(-1, len(COLUMNS))
    except ValueError:
        for line, row in zip(lines, rows, strict=True):
            for place, column in zip(places, COLUMNS, strict=True):
                _require_number(row[place], f"{path}, line {line}: {column}")
        raise


def _require_number(cell: str, where: str) -> None:
    try:
        float(cell)
    except ValueError:
        raise BenchmarkError(f"{where} is '{cell}', which is not a number.") from None


def _require_numbers(path: Path, table: np.ndarray, lines: Sequence[int]) -> None:
    whole = np.array([True, True, False, False])
    wrong = ~np.isfinite(table) | (whole & (table != np.floor(table)))
    wrong[:, 1] |= (table[:, 1] < 0) | (table[:, 1] >= PEDESTRIANS)
    if not wrong.any():
        return
    row, place = np.argwhere(wrong)[0]
    demand = (
        "Frames are whole numbers; of seconds, give the rounded quotient by the time step.",
        f"Pedestrians are whole numbers from 0 to {PEDESTRIANS - 1}.",
        "Leave out the rows of frames in which a pedestrian was not seen.",
    )[min(place, 2)]
    raise BenchmarkError(f"{path}, line {lines[row]}: {COLUMNS[place]} is {table[row, place]:g}. {demand}")


def _require_order(path: Path, frame: np.ndarray, pedestrian: np.ndarray, lines: Sequence[int]) -> None:
    """Refuses rows that go back in time, unless another pedestrian's rows begin there and each has all in one place."""
    back = np.diff(frame) < 0
    change = np.diff(pedestrian) != 0
    in_one_place = np.count_nonzero(change) + 1 == len(np.unique(pedestrian))
    wrong = back & ~change if in_one_place else back
    if wrong.any():
        row = np.flatnonzero(wrong)[0] + 1
        raise BenchmarkError(
            f"{path}, line {lines[row]}: frame {frame[row]} comes after frame {frame[row - 1]}. Sort the rows by frame, or by "
            "pedestrian and frame; if these are two recordings, give each a file."
        )


def _most_frequent(values: np.ndarray) -> int:
    distinct, counts = np.unique(values, return_counts=True)
    return int(distinct[counts.argmax()])


def _several(items: Sequence[str], shown: int = 5) -> str:
    rest = len(items) - shown
    return ", ".join(items[:shown]) + (f" and {rest} others" if rest > 0 else "")
