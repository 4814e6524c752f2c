"""A run and its companions: made in one order, found in the store where they are there, each failure told and kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.record import Record, Status
from benchmarks.leaderboard.store import Store
from benchmarks.result import announce
from benchmarks.spec import FINETUNED, RunSpec

RESULT = "result"
"""The role of the run itself among its companions."""
FINAL: tuple[Status, ...] = ("ok", "failed", "oom")
"""How a run ends that would end so again; one that was cut off is to be gone on with."""


@dataclass
class Together:
    """Records by role, what to tell of those that could not be made, and the records of their failures."""

    rows: dict[str, Record] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Record] = field(default_factory=dict)


def together(spec: RunSpec, store: Store) -> Together:
    """The record of a run and those that it is shown beside. Where the store has all of them, torch is not imported.

    Raises BenchmarkError for a user's mistake, before anything is trained, and AlreadyThere where `if_exists=skip` leaves
    the run alone.
    """
    choice = spec.config["if_exists"]
    if choice == "skip" and (there := _ended(spec.key, store)):
        raise AlreadyThere(there)
    specs = {**(spec.companions() if spec.config["companions"] else {}), RESULT: spec}
    found = {role: store.find(each.key) for role, each in specs.items()} if choice == "reuse" else {}
    if found and all(found.values()):
        announce("All of this is in the store already (if_exists=rerun makes it again).")
        return Together({role: record for role, record in found.items() if record})
    from benchmarks import runner  # torch from here on

    runner.check(spec)
    made, failed = Together(), set()
    for role, each in specs.items():
        if each.kind in FINETUNED and each.base().key in failed:
            made.failures[role] = "not made, because its base failed."
            announce(f"{role}: {made.failures[role]}", error=True)
            continue
        announce(f"{role}: {' '.join(each.overrides) or 'defaults'}")
        try:
            made.rows[role] = runner.run(each, store)
        except runner.RunFailed as failure:
            made.failures[role] = str(failure)
            announce(str(failure), error=True)
            failed.add(each.key)
            if failure.record is not None:
                made.failed[role] = failure.record
    return made


class AlreadyThere(BenchmarkError):
    """`if_exists=skip` met a run that has ended before, well or not; `record` is how."""

    def __init__(self, record: Record) -> None:
        super().__init__(f"Run {record.run_id} is in the store already, {record.status} (if_exists=skip).")
        self.record = record


def _ended(key: str, store: Store) -> Record | None:
    """The latest record of a run that has ended, preferably well."""
    same = [record for record in store.records() if record.key == key and record.status in FINAL]
    return max(same, key=lambda record: (record.status == "ok", record.created_utc), default=None)
