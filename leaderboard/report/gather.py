"""The runs of some stores, and the records that no report can use, each with its path and the reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import msgspec

from benchmarks.leaderboard.record import Record, UnreadableRecord
from benchmarks.leaderboard.report.rows import Run
from benchmarks.leaderboard.store import Store

SHORTENED = ("config", "overrides", "notes", "files")
"""Fields that publishing changes: they lose paths of the machine and files that are not ours."""


@dataclass(frozen=True)
class Refused:
    """A record that is left out: where it is (task and path) and why, in one sentence."""

    task: str
    path: str
    reason: str


@dataclass
class Gathered:
    """Runs by id, those that two records disagree about left out, and what was refused."""

    runs: list[Run] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


def gather(stores: Iterable[Store]) -> Gathered:
    """All runs of the stores; one that stands in several (it was published) is taken from the first.

    Of two records of one run that differ in more than publishing changes neither is used: nothing says which is true.
    """
    runs: dict[str, tuple[str, Run]] = {}
    refused: list[Refused] = []
    doubted: set[str] = set()
    for store in stores:
        for path, record in store.scan():
            reason = _why_refused(path, record)
            if reason is not None or isinstance(record, UnreadableRecord):
                refused.append(Refused(_folders(path)[0], path, reason or "cannot be read"))
                continue
            earlier_path, earlier = runs.setdefault(record.run_id, (path, Run(record, store)))
            differing = _differing(earlier.record, record)
            if differing:
                doubted.add(record.run_id)
                refused.append(Refused(record.task, path, _conflict(record, earlier_path, differing)))
    for run_id in doubted:
        path, run = runs.pop(run_id)
        refused.append(Refused(run.record.task, path, f"another record of run {run_id} says otherwise"))
    return Gathered([run for _, run in runs.values()], sorted(refused, key=lambda each: each.path))


def _why_refused(path: str, record: Record | UnreadableRecord) -> str | None:
    if isinstance(record, UnreadableRecord):
        return str(record).removeprefix(f"{path}: ")
    # Pages are named after runs and tasks: what a record calls itself must be the name of a folder.
    if (record.task, record.run_id) != _folders(path):
        return f"it is of run {record.run_id[:80]} of task {record.task[:80]}, whose folder this is not"
    return next((wrong for quality in record.quality if (wrong := quality.impossible)), None)


def _folders(path: str) -> tuple[str, str]:
    task, run_id, _ = PurePosixPath(path.replace("\\", "/")).parts[-3:]
    return task, run_id


def _differing(a: Record, b: Record) -> list[str]:
    """Names of the fields in which two records of one run differ and should not."""
    if a is b:
        return []
    mine, theirs = (_compared(record) for record in (a, b))
    return [name for name in mine if mine[name] != theirs[name]]


def _compared(record: Record) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(record).items() if name not in SHORTENED}


def _conflict(record: Record, other: str, differing: list[str]) -> str:
    return f"{other} is of run {record.run_id} too and differs in {', '.join(differing)}; neither is used"
