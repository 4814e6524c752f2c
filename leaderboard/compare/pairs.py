"""Which rows of the two sides are compared: by cell, method, model and configuration, seed by seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from benchmarks.leaderboard.labels import flatten, labels
from benchmarks.leaderboard.record import Record, canonical_hash
from benchmarks.leaderboard.report.rows import Run

UNDECIDED = frozenset({"interrupted", "skipped", "running"})
"""Somebody stopped such a run: it says nothing where another run of the same seed came to an end."""

Key = tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Row:
    """One configuration on one side: what counts of each seed, and every ok run (repetitions too) for the timing."""

    label: str
    latest: Mapping[int, Run]
    repeats: tuple[Run, ...]

    @cached_property
    def ok(self) -> dict[int, Run]:
        """The seeds whose run ended well."""
        return {seed: run for seed, run in self.latest.items() if run.record.status == "ok"}

    @property
    def record(self) -> Record:
        """The record of the first seed: what all seeds share."""
        return self.latest[min(self.latest)].record


@dataclass(frozen=True, eq=False)
class Pair:
    """One row on both sides; `seeds` ended well on both."""

    base: Row
    head: Row

    @property
    def label(self) -> str:
        return self.head.label

    @cached_property
    def seeds(self) -> list[int]:
        """The common seeds, in order."""
        return sorted(self.base.ok.keys() & self.head.ok.keys())


@dataclass(frozen=True, eq=False)
class Pairing:
    """All rows of two sides. `versions` are rows whose data, task, method or settings have another version, so that
    nothing of them is compared; `vanished` are in the base only, `new` in the head only."""

    pairs: list[Pair] = field(default_factory=list)
    versions: list[Pair] = field(default_factory=list)
    vanished: list[Row] = field(default_factory=list)
    new: list[Row] = field(default_factory=list)


def pair_rows(base: Iterable[Run], head: Iterable[Run]) -> Pairing:
    """Matches the rows of two sides.

    A row without an equal on the other side is looked for by what a version changes nothing of (task, data set, scale,
    protocol, method, model, settings). A version that the base itself has replaced is left out.
    """
    base_runs, head_runs = _by_row(base), _by_row(head)
    names = _labels([*base_runs.items(), *head_runs.items()])
    ours = {key: _row(names[key], runs) for key, runs in head_runs.items()}
    theirs = {key: _row(names[key], runs) for key, runs in base_runs.items()}
    found = Pairing()
    for key in theirs.keys() & ours.keys():
        pair = Pair(theirs[key], ours[key])
        (found.pairs if versions_changed(pair) == [] else found.versions).append(pair)
    matched = {_without_versions(pair.base.record) for pair in (*found.pairs, *found.versions)}
    only_base = _newest(row for key, row in theirs.items() if key not in ours)
    only_head = _newest(row for key, row in ours.items() if key not in theirs)
    for loose, row in only_base.items():
        if loose in matched:
            continue
        if loose in only_head:
            found.versions.append(Pair(row, only_head.pop(loose)))
        else:
            found.vanished.append(row)
    found.new.extend(row for loose, row in only_head.items() if loose not in matched)
    for rows in (found.vanished, found.new):
        rows.sort(key=lambda row: row.label)
    found.pairs.sort(key=lambda pair: pair.label)
    found.versions.sort(key=lambda pair: pair.label)
    return found


def row_key(record: Record) -> Key:
    """What must agree, besides the seed, for two runs to be paired."""
    return (*record.cell, record.method, record.model, record.config_hash)


VERSIONS: dict[str, Callable[[Record], object]] = {
    "task version": lambda record: record.task_version,
    "method version": lambda record: record.method_version,
    "data": lambda record: record.data_fingerprint[:12],
    "configuration": lambda record: record.config_hash[:12],
}


def versions_changed(pair: Pair) -> list[str]:
    """What differs between two rows of one name, as `task version 1 -> 2`; the configuration only where nothing else does."""
    before, after = pair.base.record, pair.head.record
    changed = [name for name, read in VERSIONS.items() if read(before) != read(after)]
    if len(changed) > 1 and "configuration" in changed:  # its hash holds the versions
        changed.remove("configuration")
    return [f"{name} {VERSIONS[name](before)} -> {VERSIONS[name](after)}" for name in changed]


def _by_row(runs: Iterable[Run]) -> dict[Key, list[Run]]:
    rows: dict[Key, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.record.created_utc, run.record.run_id)):
        rows[row_key(run.record)].append(run)
    return rows


def _row(label: str, runs: Sequence[Run]) -> Row:
    latest: dict[int, Run] = {}
    for run in runs:  # in order of time
        known = latest.get(run.record.seed)
        if known is None or run.record.status not in UNDECIDED or known.record.status in UNDECIDED:
            latest[run.record.seed] = run
    return Row(label, latest, tuple(run for run in runs if run.record.status == "ok"))


def _labels(rows: Iterable[tuple[Key, Sequence[Run]]]) -> dict[Key, str]:
    """A name for every row: its task, data set and scale, then what the report calls it among the rows of its cell."""
    cells: dict[Key, dict[Key, Record]] = defaultdict(dict)
    for key, runs in rows:
        record = runs[-1].record
        cells[record.task, record.dataset, record.scale, record.protocol].setdefault(key, record)
    found = {}
    for (task, dataset, scale, protocol), members in cells.items():
        where = " ".join([task, dataset, scale, *([f"protocol {protocol}"] if protocol != "suite" else [])])
        for (key, record), (label, _) in zip(members.items(), labels(list(members.values())), strict=True):
            name = f"{where}: {label}" + (f" · {record.model}" if record.model else "")
            # A terminal would obey escape sequences, wherever they came from.
            found[key] = "".join(letter if letter.isprintable() else "?" for letter in name)
    return found


def _newest(rows: Iterable[Row]) -> dict[Key, Row]:
    ordered = sorted(rows, key=lambda row: max(run.record.created_utc for run in row.latest.values()))
    return {_without_versions(row.record): row for row in ordered}


def _without_versions(record: Record) -> Key:
    settings = canonical_hash(flatten(record.config))
    return (record.task, record.dataset, record.scale, record.protocol, record.method, record.model, settings)
