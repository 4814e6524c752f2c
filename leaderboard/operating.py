"""Operating curves of a run: what its answers would have been worth at other thresholds; `operating.json`, a few kilobytes."""

from __future__ import annotations

import msgspec

from benchmarks.leaderboard.record import Record, UnreadableRecord
from benchmarks.leaderboard.store import Store

OPERATING = "operating.json"


class OperatingCurve(msgspec.Struct, kw_only=True):
    """A line over thresholds: `points` are (threshold, x, y). `x` and `y` name the axes; `logarithmic` is about x, and `most` is
    the largest y there can be.

    A point that is not defined (the precision where nothing is detected) is left out. `chosen` is the threshold at which the
    run is judged otherwise.
    """

    name: str
    x: str
    y: str
    logarithmic: bool
    most: float
    chosen: float
    points: list[tuple[float, float, float]]


def read_operating(store: Store, record: Record) -> list[OperatingCurve]:
    """The curves of a run, none where it has no such file; a damaged one is an UnreadableRecord."""
    if all(file.name != OPERATING for file in record.files):
        return []
    try:
        content = store.read_file(record, OPERATING)
    except OSError:
        return []
    try:
        return msgspec.json.decode(content, type=list[OperatingCurve])
    except msgspec.MsgspecError as error:
        raise UnreadableRecord(f"{store.place.where(record.task, record.run_id, OPERATING)}: {error}") from error
