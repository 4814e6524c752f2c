"""Costs that are counted, not measured: parameters, bytes, operations. Their tolerance is 0."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.pairs import Pair
from benchmarks.leaderboard.record import Record

COUNTS: dict[str, tuple[str, Callable[[Record], int | None]]] = {
    "params_total": ("parameters", lambda record: record.cost.params_total),
    "params_trainable": ("trainable parameters", lambda record: record.cost.params_trainable),
    "params_stored": ("stored parameters", lambda record: record.cost.params_stored),
    "bytes_stored": ("stored bytes", lambda record: record.cost.bytes_stored),
    "flops": ("FLOPs", lambda record: record.cost.flops.value if record.cost.flops else None),
}


def exact_costs(pairs: Iterable[Pair]) -> Iterator[Finding]:
    """One finding for each row and count that changed: any increase is a regression, a decrease is told.

    FLOPs under another convention or for another input are not compared, and said so.
    """
    for pair in pairs:
        for kind, (name, read) in COUNTS.items():
            if kind == "flops" and (changed := _convention(pair)):
                yield Finding(Level.INCOMPARABLE, kind, pair.label, f"FLOPs are counted {changed}")
                continue
            yield from _change(pair, kind, name, read)


def _change(pair: Pair, kind: str, name: str, read: Callable[[Record], int | None]) -> Iterator[Finding]:
    counts = {seed: (read(pair.base.ok[seed].record), read(pair.head.ok[seed].record)) for seed in pair.seeds}
    lost = [seed for seed, (before, after) in counts.items() if before is not None and after is None]
    if lost:
        text = f"{name}: no longer measured (seed {', '.join(map(str, lost))})"
        yield Finding(Level.CHECK, kind, pair.label, text, weight=1)
    known = [(before, after) for before, after in counts.values() if before is not None and after is not None]
    changed = [(before, after) for before, after in known if before != after]
    if not changed:
        return
    before, after = max(changed, key=lambda each: each[1] - each[0])
    more = after > before
    text = f"{name} {numbers.count(before)} -> {numbers.count(after)} ({numbers.signed(after - before, 0)})"
    if len(known) > 1:
        text += f", in {len(changed)} of {len(known)} seeds"
    weight = 2 + (after / before - 1 if before else 1)
    yield Finding(Level.REGRESSION if more else Level.BETTER, kind, pair.label, text, weight=weight)


def _convention(pair: Pair) -> str | None:
    for seed in pair.seeds:
        before, after = pair.base.ok[seed].record.cost.flops, pair.head.ok[seed].record.cost.flops
        if before and after and before.convention != after.convention:
            return f"by another convention: '{before.convention}' -> '{after.convention}'"
        if before and after and before.input_shape != after.input_shape:
            return f"for another input: {before.input_shape} -> {after.input_shape}"
    return None
