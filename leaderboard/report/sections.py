"""One section of a report: everything about one cell, the records that may be compared with each other."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from benchmarks.leaderboard.record import Quality, Record, UnreadableRecord
from benchmarks.leaderboard.report.bases import Bases
from benchmarks.leaderboard.report.curves import CurveSet, curve_sets
from benchmarks.leaderboard.report.facts import Facts, TaskFacts
from benchmarks.leaderboard.report.gather import gather
from benchmarks.leaderboard.report.rows import Plan, Row, Run, build_rows
from benchmarks.leaderboard.reported import Reported
from benchmarks.leaderboard.statistics.paired import Difference, holm, paired_difference
from benchmarks.leaderboard.store import Store

LEVEL = 0.05
SCALES = ("paper", "small", "smoke")


@dataclass(frozen=True, eq=False)
class Section:
    """A cell with its rows, best first where they are ranked; `unranked` says why they are not.

    `curves` holds the rows with a budget once more, by base and method.
    """

    task: TaskFacts
    first: Record
    rows: tuple[Row, ...]
    failures: tuple[Run, ...]
    recovered: int
    plan: Plan
    unranked: str | None
    reported: tuple[Reported, ...]
    card: Mapping[str, Any]
    curves: tuple[CurveSet, ...] = ()

    @property
    def anchor(self) -> str:
        """A name for links, the same for the same cell."""
        return "cell-" + hashlib.sha256(repr(self.first.cell).encode()).hexdigest()[:10]

    @property
    def title(self) -> str:
        """Data set, scale and, where it is not the suite's, the protocol."""
        parts = [self.first.dataset, self.first.scale]
        return " · ".join([*parts, f"protocol {self.first.protocol}"] if self.first.protocol != "suite" else parts)

    @property
    def primary(self) -> Quality | None:
        """The primary metric, as one record states it."""
        return self.plan.primary

    @property
    def best(self) -> Row | None:
        """The first ranked row."""
        return next((row for row in self.rows if row.primary.value is not None), None) if not self.unranked else None

    @property
    def covered(self) -> tuple[str, ...]:
        """Methods that fit the task and have a row."""
        return tuple(method for method in self.task.methods if any(row.method == method for row in self.rows))

    @property
    def missing(self) -> tuple[str, ...]:
        """Methods that fit the task and have none."""
        return tuple(method for method in self.task.methods if method not in self.covered)

    @property
    def seeds(self) -> int:
        """Runs in the table."""
        return sum(len(row.runs) for row in self.rows)


def collect(stores: Iterable[Store]) -> list[Run]:
    """All runs of the stores; raises UnreadableRecord where one has to be left out (see `gather`)."""
    gathered = gather(stores)
    for refused in gathered.refused:
        raise UnreadableRecord(f"{refused.path}: {refused.reason}")
    return gathered.runs


def build_sections(runs: Iterable[Run], facts: Facts, reported: Sequence[Reported] = ()) -> list[Section]:
    """The sections of all cells: by task, ranked ones first, larger scales first."""
    cells: dict[tuple[Any, ...], list[Run]] = defaultdict(list)
    for run in runs:
        cells[run.record.cell].append(run)
    sections = [_section(cell, facts, reported) for cell in cells.values()]
    return sorted(sections, key=_order)


def _order(section: Section) -> tuple[Any, ...]:
    scale = SCALES.index(section.first.scale) if section.first.scale in SCALES else len(SCALES)
    return (section.task.name, section.unranked is not None, scale, section.first.dataset, section.first.cell)


def _section(runs: list[Run], facts: Facts, reported: Sequence[Reported]) -> Section:
    first = runs[0].record
    ok = [run for run in runs if run.record.status == "ok"]
    succeeded = {run.record.key for run in ok}
    lost = [run for run in runs if run.record.status != "ok"]
    failures = tuple(run for run in lost if run.record.key not in succeeded)
    plan = _plan(ok, facts.task(first.task), failures)
    unranked = _why_unranked(runs)
    rows = build_rows(ok, plan)
    if unranked is None:
        rows = _ranked(_with_differences(rows, plan, facts.task(first.task)), plan)
    curves = curve_sets(rows, plan, Bases(rows, facts.task(first.task))) if unranked is None else []
    shown = [row for row in reported if row.task == first.task and first.dataset in (row.dataset, *row.shown_with)]
    return Section(
        task=facts.task(first.task),
        first=first,
        rows=tuple(rows),
        failures=failures,
        recovered=len(lost) - len(failures),
        plan=plan,
        unranked=unranked,
        reported=tuple(shown),
        card=facts.card(first.dataset),
        curves=tuple(curves),
    )


def _plan(ok: Sequence[Run], task: TaskFacts, failures: Sequence[Run]) -> Plan:
    newest: dict[str, Quality] = {}
    conditions: dict[str, None] = {}
    for run in ok:
        for quality in run.record.quality:
            if quality.split == "test" and quality.primary and quality.condition is not None:
                conditions.setdefault(quality.condition)
            if quality.split == "test" and quality.condition is None:
                known = newest.setdefault(quality.metric, quality)
                # Of one version, that which declares bounds: records of schema 1 do not.
                if (quality.metric_version, quality.bounds is not None) > (
                    known.metric_version,
                    known.bounds is not None,
                ):
                    newest[quality.metric] = quality
    primary = next((quality for quality in newest.values() if quality.primary), None)
    machines = Counter(run.hardware for run in ok if run.record.cost.latency_ms)
    hardware = max(machines, key=lambda machine: (machines[machine], machine)) if machines else None
    costly = Counter(run.hardware for run in ok if run.record.cost.latency_ms or run.record.cost.peak_mem)
    failed: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    for run in failures:
        failed[run.record.row].append(run.record)
    return Plan(
        primary=primary,
        metrics=[quality for quality in newest.values() if quality is not primary],
        batches=sorted({latency.batch for run in ok for latency in run.record.cost.latency_ms}),
        conditions=list(conditions) if len(conditions) > 1 else [],
        hardware=hardware,
        machines=sorted(costly, key=lambda machine: (machine != hardware, -costly[machine], machine)),
        seeds=task.seeds,
        failed=failed,
    )


def _why_unranked(runs: Sequence[Run]) -> str | None:
    record = runs[0].record
    if record.dataset.startswith("sim_"):
        return "simulated data: shows that the code runs, ranks nothing"
    if any(run.record.sample for run in runs):
        return "a sample of the data: too small to rank methods with"
    if record.scale == "smoke":
        return "scale smoke: shows that the code runs, ranks nothing"
    return None


def _with_differences(rows: list[Row], plan: Plan, task: TaskFacts) -> list[Row]:
    """Adds the paired difference of each row to its base, with Holm's correction over all of them."""
    known = Bases(rows, task)
    bases = {row: known.of(row) for row in rows}
    found = {row: difference for row in rows if (difference := _difference(row, bases[row])) is not None}
    tested = {row: difference.p for row, difference in found.items() if difference.p is not None}
    for row, p in zip(tested, holm(list(tested.values())).tolist(), strict=True):
        found[row] = replace(found[row], p_holm=p)
    shown = []
    for row in rows:
        base, difference = bases[row], found.get(row)
        if base is not None:
            row = replace(row, base=base)
        if base is not None and difference is not None:
            under = {name: each for name in plan.conditions if (each := _difference(row, base, name)) is not None}
            row = replace(row, difference=difference, differences=under, verdict=_verdict(difference, plan))
        shown.append(row)
    return shown


def _difference(row: Row, base: Row | None, condition: str | None = None) -> Difference | None:
    if base is None:
        return None
    mine, other = (
        (row.primary, base.primary) if condition is None else (row.conditions[condition], base.conditions[condition])
    )
    if mine.value is None or other.value is None:
        return None
    ours, theirs = row.scores_under(condition), base.scores_under(condition)
    if ours and theirs:
        return paired_difference(ours, theirs)
    return Difference(mine.value - other.value, reason="no replicates are stored, so nothing is tested")


def _verdict(difference: Difference, plan: Plan) -> str | None:
    if difference.p_holm is None or difference.difference is None:
        return None
    if difference.p_holm > LEVEL or difference.tie:
        return "tie"
    if plan.primary is None or plan.primary.direction == "target":
        return "differs"
    return "better" if (difference.difference > 0) == (plan.primary.direction == "max") else "worse"


def _ranked(rows: list[Row], plan: Plan) -> list[Row]:
    sign = 1 if plan.primary and plan.primary.direction == "min" else -1
    return sorted(rows, key=lambda row: (row.primary.value is None, sign * (row.primary.value or 0)))
