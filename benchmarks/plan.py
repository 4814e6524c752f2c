"""Many runs, cut into shards that machines make apart: a sweep, a file of commands, or what the repository publishes."""

from __future__ import annotations

import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.config import expand, split_override
from benchmarks.errors import BenchmarkError, Misfit
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.settings import NUMERIC
from benchmarks.spec import FINETUNED, WHERE_KEYS, RunSpec

FILTERS = ("task", "method", "model", "data", "scale", "seed")


@dataclass(frozen=True)
class Plan:
    """The runs that were asked for, and a line for each that cannot be made, with the reason."""

    specs: tuple[RunSpec, ...]
    left_out: tuple[str, ...] = ()


def sweep(words: Sequence[str]) -> Plan:
    """All points of a sweep that fit together; raises BenchmarkError for a mistake in any of them."""
    return _plan(expand(words))


def listed(path: Path) -> Plan:
    """The runs of a text file, a command's words on each line (a line may be a sweep; # begins a comment)."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BenchmarkError(
            f"{path} cannot be read: {error}. Give a text file with the words of a run a line."
        ) from error
    split = [_split(line, f"line {number} of {path}") for number, line in enumerate(lines, 1)]
    return _plan(point for words in split if words for point in expand(words))


def _split(line: str, where: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise BenchmarkError(f"{where} cannot be read: {error}. Quotes come in pairs: {line.strip()}") from error


def published(store: Store, words: Sequence[str]) -> Plan:
    """The runs whose records a store holds, of those that `words` leave (as `task=ctr method=svd,afm`).

    A record is left out where its command means another run today: data from a path, settings that have changed.
    """
    wanted = _filters(words)
    specs: dict[str, RunSpec] = {}
    left_out = []
    for record in store.records(status="ok"):
        if any(str(_field(record, key)) not in values for key, values in wanted.items()):
            continue
        try:
            spec = RunSpec.of(repeatable(record.overrides))
            key = spec.key  # asks for the weights that it names
        except BenchmarkError as error:
            left_out.append(f"{record.run_id}: {error}")
            continue
        if key == record.key:
            specs.setdefault(key, spec)
        else:
            left_out.append(f"{record.run_id}: its command is another run today")
    return Plan(tuple(specs.values()), tuple(left_out))


def repeatable(overrides: Iterable[str]) -> list[str]:
    """What was typed, without where and how visibly the run was made: that is chosen by who makes it again."""

    def kept(override: str) -> bool:
        group, _, key = split_override(override)[0].partition(".")
        return group not in WHERE_KEYS and not (group == "trainer" and key and key not in NUMERIC)

    return [override for override in overrides if kept(override)]


def shards(specs: Sequence[RunSpec], count: int) -> list[list[RunSpec]]:
    """The runs in `count` parts of like size, in a fixed order; runs of one base stay together, so that it is trained once."""
    if count < 1:
        raise BenchmarkError(f"--shards {count}: a plan has 1 part or more.")
    together: dict[str, list[RunSpec]] = defaultdict(list)
    for spec in specs:
        together[spec.base().key if spec.kind in FINETUNED else spec.key].append(spec)
    parts: list[list[RunSpec]] = [[] for _ in range(count)]
    for runs in sorted(together.values(), key=len, reverse=True):
        min(parts, key=len).extend(runs)
    return parts


def command(spec: RunSpec) -> str:
    """The words of a run as a shell takes them."""
    return shlex.join(spec.overrides)


def _plan(points: Iterable[Sequence[str]]) -> Plan:
    specs: dict[str, RunSpec] = {}
    left_out = []
    for point in points:
        try:
            spec = RunSpec.of(point)
        except Misfit as problem:
            left_out.append(f"{' '.join(point)}: {problem}")
        else:
            specs.setdefault(spec.key, spec)
    return Plan(tuple(specs.values()), tuple(left_out))


def _filters(words: Sequence[str]) -> dict[str, set[str]]:
    found = {}
    for word in words:
        key, _, values = word.partition("=")
        if key not in FILTERS or not values:
            raise BenchmarkError(
                f"'{word}' chooses no published runs. Type {', '.join(f'{name}=' for name in FILTERS)}."
            )
        found[key] = set(values.split(","))
    return found


def _field(record: Record, key: str) -> object:
    return record.dataset if key == "data" else getattr(record, key)
