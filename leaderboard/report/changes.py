"""What changed since the report was last built into the same folder: rows added, removed and measured anew."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.report.sections import Section

STATE = "state.json"
"""The file of a report that says what it showed, for the next build."""

SCHEMA = 1
MOST = 25
"""Rows that each list names; the rest are counted."""


@dataclass(frozen=True)
class State:
    """What a report showed: for every row where it stood, its value and its runs; and when its latest run was begun.

    No time of the build itself: equal stores give equal reports.
    """

    rows: Mapping[str, Mapping[str, Any]]
    latest: str

    @property
    def plain(self) -> dict[str, Any]:
        """As it is written."""
        return {"schema": SCHEMA, "latest": self.latest, "rows": self.rows}


@dataclass(frozen=True)
class Change:
    """One row: the task and the section it stands in, its name, and what became of its value."""

    task: str
    section: str
    anchor: str
    name: str
    text: str


@dataclass(frozen=True)
class Changes:
    """Added, changed and removed rows; `latest` says when the latest run of the earlier report began.

    `known` is False where there is no earlier report to compare with.
    """

    known: bool
    latest: str = ""
    added: tuple[Change, ...] = ()
    changed: tuple[Change, ...] = ()
    removed: tuple[Change, ...] = ()

    @property
    def groups(self) -> list[tuple[str, tuple[Change, ...], int]]:
        """Those that are not empty: what happened, the rows to name, and how many are not named."""
        found = (("added", self.added), ("changed", self.changed), ("removed", self.removed))
        return [(word, rows[:MOST], len(rows[MOST:])) for word, rows in found if rows]


def state_of(sections: Iterable[Section]) -> State:
    """What a report of these sections shows."""
    rows: dict[str, dict[str, Any]] = {}
    latest = ""
    for section in sections:
        for row in section.rows:
            latest = max([latest, *(run.record.created_utc for run in row.runs)])
            rows[hashlib.sha256(repr(row.record.row).encode()).hexdigest()[:16]] = {
                "task": section.first.task,
                "section": section.title,
                "anchor": section.anchor,
                "name": row.name,
                "value": row.primary.value,
                "runs": [run.record.run_id for run in row.runs],
            }
    return State(rows, latest)


def read_state(path: Path) -> State | None:
    """The state that an earlier report left; None where there is none, or none that this version can read."""
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["schema"] != SCHEMA:
            return None
        wanted = {"task", "section", "anchor", "name", "value", "runs"}
        rows = {key: row for key, row in plain["rows"].items() if wanted <= row.keys()}
        return State(rows, str(plain["latest"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # It is a convenience: a report must not fail for what an earlier one left behind.


def changes_since(before: State | None, now: State) -> Changes:
    """The rows that came, that rest on other runs than before, and that went."""
    if before is None:
        return Changes(known=False)
    added = [_change(row, _value(row)) for key, row in now.rows.items() if key not in before.rows]
    removed = [_change(row, _value(row)) for key, row in before.rows.items() if key not in now.rows]
    changed = [
        _change(row, f"{_value(earlier)} \N{RIGHTWARDS ARROW} {_value(row)}, {_runs(earlier, row)}")
        for key, row in now.rows.items()
        if (earlier := before.rows.get(key)) and (earlier["runs"], earlier["value"]) != (row["runs"], row["value"])
    ]
    return Changes(True, before.latest, tuple(added), tuple(changed), tuple(removed))


def _change(row: Mapping[str, Any], text: str) -> Change:
    return Change(row["task"], row["section"], row["anchor"], row["name"], text)


def _value(row: Mapping[str, Any]) -> str:
    value = row["value"]
    return f"{value:.5g}".replace("-", "\N{MINUS SIGN}") if isinstance(value, int | float) else numbers.DASH


def _runs(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    earlier, later = set(before["runs"]), set(now["runs"])
    parts = [f"{len(later - earlier)} new runs"] if later - earlier else []
    parts += [f"{len(earlier - later)} runs gone"] if earlier - later else []
    return " and ".join(parts).replace("1 new runs", "1 new run").replace("1 runs", "1 run") or "same runs"
