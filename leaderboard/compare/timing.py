"""Is a row slower, or does it need more memory? Measured costs, within one hardware group only."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.pairs import Pair
from benchmarks.leaderboard.compare.turns import LEAST_PAIRS, paired_p, paired_ratio, pairs_in_turns
from benchmarks.leaderboard.record import Latency
from benchmarks.leaderboard.report.rows import Run

ALPHA = 0.002
RATIO = 1.10
"""Slower is what is both beyond chance and large: asv's two conditions. TorchBench trusts nothing below a tenth either."""

MEMORY_RATIO = 1.02
LEAST_RUNS = 3
RANKS_FROM = 7
"""Runs a side from which Mann and Whitney's p can reach `ALPHA`: six against six give 0.0022 at best."""


@dataclass(frozen=True)
class Setting:
    """What must agree for two latencies to be compared."""

    hardware: tuple[str, str]
    batch: int
    device: str
    dtype: str
    form: str

    @property
    def name(self) -> str:
        """The batch and, where it is not the plain one, the form."""
        return f"batch {self.batch}{'' if self.form == 'eager' else f', {self.form}'}"


@dataclass(frozen=True)
class Timing:
    """Medians of one call in milliseconds and their ratio head / base; p is None where there are too few.

    They are of blocks where both sides took turns in one session (`paired`, the n-th of one beside the n-th of the other),
    otherwise of whole runs. `noise` holds the blocks of each side's runs, where they were kept: how much a run wavers in itself.
    """

    setting: Setting
    before: tuple[float, ...]
    after: tuple[float, ...]
    p: float | None
    paired: bool = False
    noise: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @property
    def ratio(self) -> float:
        """Median of the head over median of the base; of pairs the median of their ratios."""
        if self.paired:
            return paired_ratio(list(zip(self.before, self.after, strict=True)))
        return median(self.after) / median(self.before)

    @property
    def explained(self) -> bool:
        """Whether single blocks of both sides overlap, so that a ratio of few runs may be the machine's wavering."""
        before, after = self.noise
        return bool(before and after) and min(after) <= max(before) and min(before) <= max(after)

    @property
    def verdict(self) -> str:
        """One of slower, faster, tie, not judged."""
        if self.p is None:
            return "not judged"
        if self.p >= ALPHA or 1 / RATIO <= self.ratio <= RATIO:
            return "tie"
        return "slower" if self.ratio > 1 else "faster"


def timings(pair: Pair) -> list[Timing]:
    """All latencies of a row that both sides measured in one setting, slowest first. Every ok run counts, repetitions of
    a seed too; where the sides took turns in one session, only what they did there."""
    before, after = _latencies(pair.base.repeats), _latencies(pair.head.repeats)
    found = [_timing(setting, before[setting], after[setting]) for setting in before.keys() & after.keys()]
    return sorted(found, key=lambda timing: (-timing.ratio, timing.setting.batch, timing.setting.form))


def measured_costs(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """A finding for each row that is slower or faster, or whose memory changed by more than a fiftieth."""
    for pair in pairs:
        found = timings(pair)
        if not found and _latencies(pair.base.repeats) and _latencies(pair.head.repeats):
            machines = " -> ".join(_machine(side.repeats) for side in (pair.base, pair.head))
            text = f"latency on other hardware or in another setting: {machines}"
            yield Finding(Level.INCOMPARABLE, "hardware", pair.label, text)
        levels = {"slower": Level.REGRESSION, "faster": Level.BETTER}
        for verdict, level in levels.items():
            if changed := [timing for timing in found if timing.verdict == verdict]:
                text = "; ".join(_described(timing) for timing in changed)
                text += "" if all(timing.paired for timing in changed) else _apart(pair)
                size = max(abs(math.log(timing.ratio)) for timing in changed)
                yield Finding(
                    level, "latency", pair.label, text, min(t.p for t in changed if t.p is not None), 1 + size
                )
        if large := [t for t in found if t.verdict == "not judged" and t.ratio > RATIO and not t.explained]:
            text = "; ".join(_described(timing) for timing in large)
            text += f"; {LEAST_RUNS} runs a side are needed to judge it, or `retime`, which lets both take turns"
            yield Finding(Level.CHECK, "latency", pair.label, text, weight=math.log(large[0].ratio))
        yield from _memory(pair)


def _p(before: Sequence[float], after: Sequence[float]) -> float | None:
    """Mann and Whitney's exact p, or Student's on the logarithms where the ranks of few runs cannot tell enough."""
    least = min(len(before), len(after))
    if least < LEAST_RUNS:
        return None
    from scipy import stats

    if least >= RANKS_FROM:
        return float(stats.mannwhitneyu(before, after, alternative="two-sided").pvalue)
    logs = [[math.log(value) for value in side] for side in (before, after)]
    if all(max(side) == min(side) for side in logs):
        return 0.0 if logs[0][0] != logs[1][0] else 1.0
    return float(stats.ttest_ind(*logs).pvalue)


def _timing(setting: Setting, before: Sequence[Latency], after: Sequence[Latency]) -> Timing:
    pairs = pairs_in_turns(before, after)
    if len(pairs) >= LEAST_PAIRS:
        first, second = zip(*pairs, strict=True)
        return Timing(setting, first, second, paired_p(pairs), paired=True)
    first, second = (tuple(each.median for each in side) for side in (before, after))
    blocks = [tuple(block.median for each in side for block in each.blocks) for side in (before, after)]
    return Timing(setting, first, second, _p(first, second), noise=(blocks[0], blocks[1]))


def _latencies(runs: Sequence[Run]) -> Mapping[Setting, list[Latency]]:
    found: dict[Setting, list[Latency]] = defaultdict(list)
    for run in runs:
        for each in run.record.cost.latency_ms:
            if each.median > 0:
                found[Setting(run.hardware, each.batch, each.device, each.dtype, each.form)].append(each)
    return found


def _described(timing: Timing) -> str:
    before, after = median(timing.before), median(timing.after)
    text = f"{timing.setting.name}: {numbers.milliseconds(before)} -> {numbers.milliseconds(after)} ms, x{timing.ratio:.2f}"
    runs = f"{len(timing.before)} and {len(timing.after)} runs"
    if timing.paired:
        runs = f"{len(timing.before)} pairs of blocks in turns"
    elif timing.p is None and all(timing.noise):
        spans = [f"{numbers.milliseconds(min(side))} to {numbers.milliseconds(max(side))}" for side in timing.noise]
        runs = f"{runs}, blocks {' and '.join(spans)} ms"
    return f"{text}, p {numbers.probability(timing.p)}, {runs}" if timing.p is not None else f"{text}, {runs}"


def _apart(pair: Pair) -> str:
    """Says where one side was measured after the other: what else the machine did may then be the difference."""
    before = [run.record.created_utc for run in pair.base.repeats]
    after = [run.record.created_utc for run in pair.head.repeats]
    if max(before) < min(after) or max(after) < min(before):
        return "; the sides were measured one after the other: repeat them in turns before you believe it"
    return ""


def _memory(pair: Pair) -> Iterator[Finding]:
    sides = []
    for runs in (pair.base.repeats, pair.head.repeats):
        peaks: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for run in runs:
            if (peak := run.record.cost.peak_mem) is not None and peak.bytes > 0:
                peaks[run.hardware, peak.device, peak.how].append(peak.bytes)
        sides.append(peaks)
    for setting in sides[0].keys() & sides[1].keys():
        before, after = median(sides[0][setting]), median(sides[1][setting])
        ratio = after / before
        if 1 / MEMORY_RATIO <= ratio <= MEMORY_RATIO:
            continue
        level = Level.REGRESSION if ratio > 1 else Level.BETTER
        text = f"peak memory {numbers.short(before, 'B')} -> {numbers.short(after, 'B')}, x{ratio:.2f}"
        yield Finding(level, "peak memory", pair.label, text, weight=1 + abs(math.log(ratio)))


def _machine(runs: Sequence[Run]) -> str:
    return "; ".join(sorted({run.hardware[1] for run in runs if run.record.cost.latency_ms}))
