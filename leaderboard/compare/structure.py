"""Rows that came, went, failed, or mean something else than before."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.pairs import Pair, Pairing, Row, versions_changed
from benchmarks.leaderboard.compare.sides import Side
from benchmarks.leaderboard.record import Record


def structure(pairing: Pairing, *, allow_missing: bool = False) -> Iterator[Finding]:
    """What can be said without a figure. A vanished row is a regression unless `allow_missing`: a benchmark that no
    longer runs is the regression that nobody sees."""
    for row in pairing.vanished:
        if row.ok:
            text = f"in the base ({_seeds(sorted(row.ok))}), not in the head"
            yield Finding(Level.NOTE if allow_missing else Level.REGRESSION, "vanished", row.label, text, weight=3)
    for row in pairing.new:
        text = f"not in the base; {_seeds(sorted(row.ok))}" if row.ok else f"not in the base; {_endings(row)}"
        yield Finding(Level.NOTE, "new", row.label, text)
    for pair in pairing.versions:
        text = f"{', '.join(versions_changed(pair))}: nothing of this row is compared"
        yield Finding(Level.INCOMPARABLE, "version", pair.label, text)
    for pair in pairing.pairs:
        yield from _endings_of(pair)


def unreadable(side: Side, role: str) -> Iterator[Finding]:
    """Every damaged record by its path; the comparison goes on without it."""
    for text in side.unreadable:
        yield Finding(Level.CHECK, "unreadable", "", f"{role}: {text}", weight=5)


def uncommitted(side: Side, role: str) -> Iterator[Finding]:
    """Whether the sha of the runs tells the whole truth."""
    dirty = sum(bool(run.record.provenance.git_dirty) for run in side.runs)
    if dirty:
        text = f"{role}: {dirty} of {len(side.runs)} runs were made with uncommitted changes"
        yield Finding(Level.NOTE, "uncommitted", "", text)


def _endings_of(pair: Pair) -> Iterator[Finding]:
    failed = [seed for seed in sorted(pair.base.ok) if seed in pair.head.latest and seed not in pair.head.ok]
    absent = [seed for seed in sorted(pair.base.ok) if seed not in pair.head.latest]
    mended = [seed for seed in sorted(pair.head.ok) if seed in pair.base.latest and seed not in pair.base.ok]
    if failed:
        text = f"{_seeds(failed)}: {_ending(pair.head.latest[failed[0]].record)}; ok in the base"
        yield Finding(Level.REGRESSION, "failed", pair.label, text, weight=4)
    if absent:
        text = f"{_seeds(absent)} of the base {'is' if len(absent) == 1 else 'are'} not in the head"
        yield Finding(Level.CHECK, "seeds", pair.label, text, weight=1)
    if mended:
        text = f"{_seeds(mended)}: ok; in the base {_ending(pair.base.latest[mended[0]].record)}"
        yield Finding(Level.BETTER, "mended", pair.label, text)


def _endings(row: Row) -> str:
    return "; ".join(f"seed {seed} {_ending(run.record)}" for seed, run in sorted(row.latest.items()))


def _ending(record: Record) -> str:
    """How a run ended, with the phase and the first line of the message."""
    if record.failure is None:
        return record.status
    message = record.failure.message.strip().splitlines()[:1] or [""]
    return f"{record.status} in phase {record.failure.phase} ({record.failure.exception}: {message[0][:120]})"


def _seeds(seeds: list[int]) -> str:
    return f"seed{'s' * (len(seeds) != 1)} {', '.join(map(str, seeds))}"
