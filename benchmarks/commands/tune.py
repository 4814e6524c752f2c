"""`tune`: tries values of settings on validation and writes the best ones down, with what was searched. No test split is read.

Every point of the search is one training as a run would do it. What it reached on validation is kept in the store's folder, so
that a search that was cut off, or is widened, trains only what is new. With `--search optuna` the points are proposed one after
the other (`benchmarks.search`).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import registry
from benchmarks.config import expand, forget, split_override
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.search import Span, search
from benchmarks.spec import RunSpec, searched

SEARCHED = ("trainer", "finetune", "method", "model", "task")
"""Groups whose keys may be searched; another data set, seed or scale is another question."""
TRIALS = 20
FOLDER = registry.CONF / "tuned"
HEADER = "# @package _global_"
"""What makes Hydra put the file at the top of a configuration."""
AND = " & "
"""Between the words of searches for different keys."""


@dataclass(frozen=True)
class Point:
    """Values that were tried, what they reached on validation (mean over folds; NaN where training diverged), and the seconds
    of training."""

    values: dict[str, Any]
    score: float
    seconds: float

    def __str__(self) -> str:
        return " ".join(f"{key}={value}" for key, value in self.values.items())


def main(argv: Sequence[str]) -> int:
    """Searches what was typed, all values or proposals, prints it best first, and with --write keeps the best."""
    arguments, words = _parser().parse_known_args(argv)
    if unknown := [word for word in words if "=" not in word]:
        raise BenchmarkError(f"'{unknown[0]}' is no setting. Type KEY=VALUE, or KEY=VALUE,VALUE,... to search.")
    place = [] if arguments.store is None else [f"store={arguments.store}"]
    space = _space(words)
    _allowed(space)
    fixed = [word for word in words if split_override(word)[0] not in space]
    searching = _searching(arguments, space)
    points = _corners(space) if searching else expand([word for word in words if word not in fixed])
    specs = [RunSpec.of([*fixed, *point, *place]) for point in points]
    store = Store(specs[0].config["store"])
    from benchmarks.runner import RunFailed, check, load_task  # torch from here on

    metric = load_task(specs[0]).primary
    for spec in specs:
        check(spec)
    tried: list[Point] = []

    def score(settings: Mapping[str, str]) -> float:
        spec = RunSpec.of([*fixed, *(f"{key}={value}" for key, value in settings.items()), *place])
        tried.append(_tried(spec, list(space), store))
        return tried[-1].score

    try:
        if searching:
            search(space, arguments.trials or TRIALS, metric.direction, specs[0].seed, score)
        else:
            tried = [_tried(spec, list(space), store) for spec in specs]
    except RunFailed as failure:
        raise BenchmarkError(f"The base of this search failed. {failure}") from failure
    budget = f"{len(tried)} trials of optuna's TPE" if searching else f"{len(tried)} points"
    ranked = _best_first(tried, metric.direction)
    for point in ranked:
        print(f"validation {metric.name} {point.score:.4f}  {point.seconds:7.1f} s  {point}")
    if math.isnan(ranked[0].score):
        raise BenchmarkError("Training diverged at every point: nothing is written. Search lower rates.")
    if arguments.write:
        asked = [*words, f"--search {arguments.search} --trials {len(tried)}"] if searching else words
        path = write(specs[0], asked, ranked, metric.name, budget, arguments.folder)
        print(f"written: {path}")
        if arguments.folder == FOLDER and (lost := _overruled(fixed, ranked[0])):
            print(f"but {lost} is set by what else was typed, such as an experiment, which the file does not change")
    return 0


def _best_first(points: Iterable[Point], direction: str) -> list[Point]:
    """Each point once; those that diverged come last."""
    once = {str(point): point for point in points}.values()
    sign = -1 if direction == "max" else 1
    return sorted(once, key=lambda point: (math.isnan(point.score), sign * point.score))


def write(
    spec: RunSpec, words: Sequence[str], points: Sequence[Point], metric: str, budget: str, folder: Path = FOLDER
) -> Path:
    """The best of `points`, which is the first, as the file that later runs of this task and method begin with.

    What an earlier search has chosen of other keys stays, with its head and its words in `space`; what is about none but the
    same keys goes.
    """
    path = folder / f"{spec.task}_{spec.method}.yaml"
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    content: dict[str, Any] = yaml.safe_load(before) or {}
    for key, value in points[0].values.items():
        *parents, last = key.split(".")
        place = content
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    search = " ".join(word for word in words if not word.startswith("store="))
    earlier = str((content.get("tuned") or {}).get("space", "")).split(AND)
    others = [space for space in earlier if searched(space) - points[0].values.keys()]
    content["tuned"] = {
        "space": AND.join([search, *others]),
        "budget": budget,
        "metric": f"validation {metric}",
        "data": spec.card.id,
        "seed": spec.seed,
    }
    lines = [
        f"Of {budget} the best by {metric} on the validation split of {spec.card.id}, seed {spec.seed}:",
        f"  python -m benchmarks tune {search}",
        *(f"  {point.score:.4f}  {point}" for point in points),
        *_heads_of_others(before, points[0].values.keys()),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    head = "".join(f"# {line}\n" for line in dict.fromkeys(lines))
    _replace(path, f"{HEADER}\n{head}{yaml.safe_dump(content, sort_keys=False, width=1000)}")
    forget()
    return path


def _heads_of_others(text: str, searched: Collection[str]) -> list[str]:
    """The head of a file without what it says of searches for no other keys than these."""
    parts: list[list[str]] = []
    for line in (line[2:] for line in text.splitlines() if line.startswith("# ") and line != HEADER):
        if line.startswith("Of ") or not parts:
            parts.append([])
        parts[-1].append(line)

    def others(part: Sequence[str]) -> bool:
        tried = {
            word.partition("=")[0] for line in part for word in line.split() if re.match(r"[a-z_]+\.[^=]+=.*,", word)
        }
        return not tried or not tried <= set(searched)

    return [line for part in parts if others(part) for line in part]


def _overruled(words: Sequence[str], point: Point) -> str:
    """Keys that a run of the same words takes from elsewhere than the file."""
    config = RunSpec.of(words).config
    return ", ".join(key for key, value in point.values.items() if _value(config, key) != value)


def _replace(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f".{path.name}~{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _space(words: Sequence[str]) -> dict[str, Span | list[str]]:
    """What is searched: ranges, and the values of keys that were given several."""
    typed = dict(map(split_override, words))
    spans = {key: span for key, value in typed.items() if (span := Span.of(value))}
    counts: dict[str, list[str]] = {}
    for point in expand([word for word in words if split_override(word)[0] not in spans]):
        for key, value in map(split_override, point):
            counts.setdefault(key, [])
            counts[key] += [value] if value not in counts[key] else []
    several = {key: values for key, values in counts.items() if len(values) > 1}
    space: dict[str, Span | list[str]] = {**spans, **several}
    return {key: space[key] for key in typed if key in space}


def _allowed(space: Mapping[str, object]) -> None:
    """Raises BenchmarkError where nothing is searched, or something that is no setting."""
    if not space:
        raise BenchmarkError("Nothing is searched: give a key several values, as finetune.learning_rate=1e-4,1e-3.")
    for key in space:
        if key.partition(".")[0] not in SEARCHED or "." not in key:
            allowed = ", ".join(f"{group}.KEY" for group in SEARCHED)
            raise BenchmarkError(f"'{key}' is not what a search chooses: it chooses {allowed}. Give {key} one value.")


def _corners(space: Mapping[str, Span | Sequence[str]]) -> list[list[str]]:
    """The first and last of all values, so that a range that reaches too far is refused before anything is trained."""
    ends = {
        key: values.ends() if isinstance(values, Span) else (values[0], values[-1]) for key, values in space.items()
    }
    return [[f"{key}={each[side]}" for key, each in ends.items()] for side in (0, 1)]


def _searching(arguments: argparse.Namespace, space: Mapping[str, object]) -> bool:
    """Whether proposals are asked for; raises BenchmarkError for half of what that takes."""
    spans = [key for key, values in space.items() if isinstance(values, Span)]
    if spans and arguments.search is None:
        raise BenchmarkError(
            f"{spans[0]} is given a range, which has no end of values. Add --search optuna --trials {TRIALS}."
        )
    if arguments.trials is not None and (arguments.search is None or arguments.trials < 1):
        raise BenchmarkError(f"--trials {arguments.trials}: type --search optuna --trials {TRIALS}, 1 or more.")
    return arguments.search is not None


def _tried(spec: RunSpec, searched: Sequence[str], store: Store) -> Point:
    """One point of the search, made now or found."""
    path = store.work / ".tune" / f"{spec.key}.json"
    values = {key: _value(spec.config, key) for key in searched}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        return Point(values, found["score"], found["seconds"])
    from benchmarks.runner import validate

    try:
        score, seconds = validate(spec, store)
    except ArithmeticError:  # training that left the finite numbers is an answer too
        score, seconds = math.nan, math.nan
    path.parent.mkdir(parents=True, exist_ok=True)
    _replace(path, json.dumps({"values": values, "score": score, "seconds": seconds}))
    return Point(values, score, seconds)


def _value(config: Any, key: str) -> Any:
    for part in key.split("."):
        config = config[part]
    return config


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks tune",
        usage="python -m benchmarks tune task=T method=M KEY=VALUE,VALUE,... [key=value ...] [--store results] [--write]\n"
        "       python -m benchmarks tune task=T method=M KEY=LOW..HIGH ... --search optuna [--trials 20] [--write]",
        description="Tries values on validation, never on the test split.",
    )
    parser.add_argument("--store", help="where bases and what was tried are kept, as store= (default: results)")
    parser.add_argument("--search", choices=["optuna"], help="propose values one after the other, also within ranges")
    parser.add_argument("--trials", type=int, help=f"how many proposals (default: {TRIALS})")
    parser.add_argument("--write", action="store_true", help="write the best to conf/tuned/TASK_METHOD.yaml")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the folder to write to")
    return parser
