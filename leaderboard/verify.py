"""Is the store what its records say? Nothing is repaired: every finding names the path and what is wrong."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.draft import DraftNote, is_stale, list_drafts
from benchmarks.leaderboard.places import RECORD, digest
from benchmarks.leaderboard.record import Record, UnreadableRecord, decode
from benchmarks.leaderboard.store import Store

SAME_VALUE = 1e-6
"""Relative difference up to which two runs of one key agree: on another machine sums differ in their last digits."""


@dataclass(frozen=True)
class Problem:
    """One finding: its kind, for example `changed`, where it is, and a sentence."""

    kind: str
    path: str
    message: str


def verify(store: Store) -> list[Problem]:
    """All problems of a store: records, side files, dead drafts, and runs of one key that disagree."""
    problems: list[Problem] = []
    by_key: dict[str, list[Record]] = defaultdict(list)
    for task, run_id in store.place.runs():
        record = _check_record(store, task, run_id, problems)
        if record is not None:
            problems += _check_files(store, task, run_id, record)
            if record.status == "ok":
                by_key[record.key].append(record)
    problems += _conflicts(store, by_key)
    problems += _stale_drafts(store)
    return problems


def _check_record(store: Store, task: str, run_id: str, problems: list[Problem]) -> Record | None:
    path = store.place.where(task, run_id, RECORD)
    try:
        with store.place.open(task, run_id, RECORD) as stream:
            record = decode(stream.read(), path)
    except FileNotFoundError:
        problems.append(Problem("orphan", store.place.where(task, run_id), f"a folder without {RECORD} is no run"))
        return None
    except UnreadableRecord as error:
        problems.append(Problem("unreadable", path, str(error).removeprefix(f"{path}: ")))
        return None
    if (record.task, record.run_id) != (task, run_id):
        message = f"the record is of run {record.run_id} of task {record.task}"
        problems.append(Problem("misplaced", path, message))
    problems += [Problem("impossible", path, wrong) for quality in record.quality if (wrong := quality.impossible)]
    if record.status == "running":
        problems.append(Problem("unfinished", path, "a committed record says `running`"))
    return record


def _check_files(store: Store, task: str, run_id: str, record: Record) -> Iterator[Problem]:
    for file in record.files:
        path = store.place.where(task, run_id, file.name)
        try:
            with store.place.open(task, run_id, file.name) as stream:
                found = digest(stream)
        except FileNotFoundError:
            yield Problem("missing", path, f"the record lists this file of {file.bytes} bytes")
            continue
        if found != file.sha256:
            yield Problem("changed", path, f"sha256 is {found[:12]}..., the record says {file.sha256[:12]}...")
    for name in sorted(set(store.place.names(task, run_id)) - {file.name for file in record.files} - {RECORD}):
        yield Problem("orphan", store.place.where(task, run_id, name), "the record does not list this file")


def _conflicts(store: Store, by_key: dict[str, list[Record]]) -> Iterator[Problem]:
    for records in by_key.values():
        first, *others = sorted(records, key=lambda record: record.created_utc)
        for other in others:
            if first.primary is None or other.primary is None:
                continue
            if first.primary.metric_version != other.primary.metric_version:  # scored again after a metric was mended
                continue
            a, b = first.primary.value, other.primary.value
            if a != b and (a is None or b is None or not math.isclose(a, b, rel_tol=SAME_VALUE)):
                message = f"the primary value is {b}, but {a} in run {first.run_id} of the same key"
                yield Problem("conflict", store.place.where(other.task, other.run_id), message)


def _stale_drafts(store: Store) -> Iterator[Problem]:
    for folder in list_drafts(store.drafts):
        try:
            note = DraftNote.read(folder)
        except FileNotFoundError:
            yield Problem("draft", str(folder), "a draft without its note; remove the folder")
        except BenchmarkError as error:
            yield Problem("draft", str(folder), str(error))
        else:
            if is_stale(folder, note):
                yield Problem("draft", str(folder), "its process is gone; the next run stores it as interrupted")
