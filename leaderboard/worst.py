"""The units of a test set that a run answers worst: `worst.json` beside its record, a few lines long."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from benchmarks.leaderboard.record import Direction, Record, UnreadableRecord
from benchmarks.leaderboard.store import Store

WORST = "worst.json"
PICTURED = "pictures/units.json"
"""Which units each picture of a run shows: a list of their names by the file's name."""

T = TypeVar("T")


class WorstUnit(msgspec.Struct, kw_only=True):
    """A unit (user, image, subject) under a condition, its number of samples, and the primary metric on these alone."""

    name: str
    condition: str | None
    samples: int
    value: float


class Worst(msgspec.Struct, kw_only=True):
    """The worst units by the primary metric, worst first, of `measured` units on which it is defined and `undefined` others.

    `middle` is the median of the measured ones. `unit` says in the plural what a unit is. `single` means that every unit is
    one sample with the same name. `reason` says why no unit is named.
    """

    metric: str
    metric_version: int
    direction: Direction
    unit: str
    single: bool
    measured: int
    undefined: int
    middle: float | None
    worst: list[WorstUnit]
    reason: str | None = None


def read_worst(store: Store, record: Record) -> Worst | None:
    """The worst units of a run, None where it has no such file; a damaged one is an UnreadableRecord."""
    content = _content(store, record, WORST)
    return None if content is None else decode_worst(content, store.place.where(record.task, record.run_id, WORST))


def decode_worst(content: bytes, where: str) -> Worst:
    """The worst units as written; `where` is their file, which an UnreadableRecord names."""
    return _decoded(content, Worst, where)


def read_pictured(store: Store, record: Record) -> dict[str, str]:
    """By unit the name of the first picture that shows it (below `pictures/`); empty where that was not noted."""
    content = _content(store, record, PICTURED)
    if content is None:
        return {}
    found = _decoded(content, dict[str, list[str]], store.place.where(record.task, record.run_id, PICTURED))
    shown: dict[str, str] = {}
    for picture, units in sorted(found.items()):
        for unit in units:
            shown.setdefault(unit, picture)
    return shown


def _content(store: Store, record: Record, name: str) -> bytes | None:
    if all(file.name != name for file in record.files):
        return None
    try:
        return store.read_file(record, name)
    except OSError:
        return None


def _decoded(content: bytes, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError as error:
        raise UnreadableRecord(f"{where}: {error}") from error
