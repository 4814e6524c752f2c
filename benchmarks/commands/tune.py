"""`tune`: tries values of settings on validation and writes the best ones down, with what was searched. No test split is read.

Every point of the search is one training as a run would do it. What it reached on validation is kept in the store's folder, so
that a search that was cut off, or is widened, trains only what is new.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import registry
from benchmarks.config import expand, forget, split_override
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.short_keys import spelled_out
from benchmarks.spec import RunSpec

SEARCHED = ("trainer", "finetune", "method", "model", "task")
"""Groups whose keys may be searched; another data set, seed or scale is another question."""
FOLDER = registry.CONF / "tuned"
HEADER = "# @package _global_"
"""What makes Hydra put the file at the top of a configuration."""


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
    """Searches the grid of all values that were typed, prints it best first, and with --write keeps the best."""
    arguments, words = _parser().parse_known_args(argv)
    if unknown := [word for word in words if "=" not in word]:
        raise BenchmarkError(f"'{unknown[0]}' is no setting. Type KEY=VALUE, or KEY=VALUE,VALUE,... to search.")
    words = spelled_out(words)
    searched = _searched(words)
    place = [] if arguments.store is None else [f"store={arguments.store}"]
    specs = [RunSpec.of(point) for point in expand([*words, *place])]
    store = Store(specs[0].config["store"])
    from benchmarks.runner import RunFailed, check, load_task  # torch from here on

    metric = load_task(specs[0]).primary
    for spec in specs:
        check(spec)
    try:
        tried = [_tried(spec, searched, store) for spec in specs]
    except RunFailed as failure:
        raise BenchmarkError(f"The base of this search failed. {failure}") from failure
    points = sorted(
        tried, key=lambda point: (math.isnan(point.score), -point.score if metric.direction == "max" else point.score)
    )
    for point in points:
        print(f"validation {metric.name} {point.score:.4f}  {point.seconds:7.1f} s  {point}")
    if math.isnan(points[0].score):
        raise BenchmarkError("Training diverged at every point: nothing is written. Search lower rates.")
    if arguments.write:
        path = write(specs[0], words, points, metric.name, arguments.folder)
        print(f"written: {path}")
        fixed = [word for word in words if split_override(word)[0] not in searched]
        if arguments.folder == FOLDER and (lost := _overruled(fixed, points[0])):
            print(f"but {lost} is set by what else was typed, such as an experiment, which the file does not change")
    return 0


def write(spec: RunSpec, words: Sequence[str], points: Sequence[Point], metric: str, folder: Path = FOLDER) -> Path:
    """The best of `points`, which is the first, as the file that later runs of this task and method begin with.

    What an earlier search has chosen of other keys stays, with its head.
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
    content["tuned"] = {
        "space": search,
        "budget": f"{len(points)} points",
        "metric": f"validation {metric}",
        "data": spec.card.id,
        "seed": spec.seed,
    }
    lines = [
        f"Of {len(points)} points the best by {metric} on the validation split of {spec.card.id}, seed {spec.seed}:",
        f"  python -m benchmarks tune {search}",
        *(f"  {point.score:.4f}  {point}" for point in points),
        *(line[2:] for line in before.splitlines() if line.startswith("# ") and line != HEADER),
    ]
    folder.mkdir(parents=True, exist_ok=True)
    head = "".join(f"# {line}\n" for line in dict.fromkeys(lines))
    _replace(path, f"{HEADER}\n{head}{yaml.safe_dump(content, sort_keys=False, width=1000)}")
    forget()
    return path


def _overruled(words: Sequence[str], point: Point) -> str:
    """Keys that a run of the same words takes from elsewhere than the file."""
    config = RunSpec.of(words).config
    return ", ".join(key for key, value in point.values.items() if _value(config, key) != value)


def _replace(path: Path, text: str) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(f".{path.name}~{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def _searched(words: Sequence[str]) -> list[str]:
    """The keys that were given several values; raises BenchmarkError where there is none or one that is no setting."""
    counts: dict[str, set[str]] = {}
    for point in expand(words):
        for override in point:
            key, value = split_override(override)
            counts.setdefault(key, set()).add(value)
    keys = [key for key, values in counts.items() if len(values) > 1]
    if not keys:
        raise BenchmarkError("Nothing is searched: give a key several values, as finetune.learning_rate=1e-4,1e-3.")
    for key in keys:
        if key.partition(".")[0] not in SEARCHED or "." not in key:
            allowed = ", ".join(f"{group}.KEY" for group in SEARCHED)
            raise BenchmarkError(f"'{key}' is not what a search chooses: it chooses {allowed}. Give {key} one value.")
    return keys


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
        usage="python -m benchmarks tune task=T method=M KEY=VALUE,VALUE,... [key=value ...] [--store results] [--write]",
        description="Tries values on validation, never on the test split.",
    )
    parser.add_argument("--store", help="where bases and what was tried are kept, as store= (default: results)")
    parser.add_argument("--write", action="store_true", help="write the best to conf/tuned/TASK_METHOD.yaml")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="the folder to write to")
    return parser
