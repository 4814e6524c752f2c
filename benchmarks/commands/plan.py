"""`plan`: many runs cut into shards, as a list, as the matrix of a workflow, or made here one after the other."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.publish import PUBLISHED
from benchmarks.leaderboard.store import Store
from benchmarks.plan import Plan, command, listed, published, shards, sweep
from benchmarks.spec import RunSpec

ALONE = ("companions=false", "report=false", "trainer.progress=false")


def main(argv: Sequence[str]) -> int:
    """Prints the plan, or makes the runs of one shard; 1 where one of them failed."""
    arguments, words = _parser().parse_known_args(argv)
    if strange := [word for word in words if "=" not in word or word.startswith("-")]:
        raise BenchmarkError(f"'{strange[0]}' is no setting. Type KEY=VALUE, or KEY=VALUE,VALUE for several runs.")
    plan = _plan(arguments, words)
    for line in plan.left_out:
        print(f"left out: {line}", file=sys.stderr)
    if not plan.specs:
        raise BenchmarkError("The plan holds no run. `python -m benchmarks list` shows what fits together.")
    if arguments.lacking is not None:
        there = {record.key for record in Store(arguments.lacking).records()}
        lacking = [spec for spec in plan.specs if spec.key not in there]
        print("".join(f"{command(spec)}\n" for spec in lacking), end="")
        return 1 if lacking else 0
    parts = shards(plan.specs, arguments.shards)
    if arguments.run is not None:
        if not 1 <= arguments.run <= len(parts):
            raise BenchmarkError(f"--run {arguments.run}: the plan has shards 1 to {len(parts)}.")
        return make(parts[arguments.run - 1], arguments.store)
    full = [(number, part) for number, part in enumerate(parts, 1) if part]
    if arguments.json:
        print(json.dumps({"include": [{"shard": number, "runs": len(part)} for number, part in full]}))
        return 0
    for number, part in full:
        print(f"# shard {number}: {len(part)} runs")
        for spec in part:
            print(command(spec))
    return 0


def make(specs: Sequence[RunSpec], store: str) -> int:
    """Makes runs one after the other in this process; one that fails does not end the others."""
    from benchmarks.app import run_one

    failed = 0
    for spec in specs:
        try:
            failed += run_one([*spec.overrides, *ALONE, f"store={store}"])
        except BenchmarkError as error:
            print(f"error: {command(spec)}: {error}", file=sys.stderr)
            failed += 1
    print(f"{len(specs)} runs, {failed} failed")
    return 1 if failed else 0


def _plan(arguments: argparse.Namespace, words: Sequence[str]) -> Plan:
    if arguments.published or arguments.records is not None:
        return published(Store(arguments.records or PUBLISHED), words)
    if arguments.file is not None:
        if words:
            raise BenchmarkError(f"'{words[0]}' beside --file: what a run is stands in the file.")
        return listed(arguments.file)
    if not words:
        raise BenchmarkError("Say what to plan: task=T method=M,M ..., --published, or --file FILE.")
    return sweep(words)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks plan",
        usage="python -m benchmarks plan [KEY=VALUE,VALUE ...] [--published | --records STORE | --file FILE] [--shards N] "
        "[--json | --lacking STORE | --run N --store shard]",
        description="Cut many runs into shards that machines make apart; `merge` brings them together.",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--published", action="store_true", help="the runs that the repository publishes; words choose some"
    )
    what.add_argument("--records", metavar="STORE", help="the same of another store's records")
    what.add_argument("--file", type=Path, metavar="FILE", help="the words of a run on each line")
    parser.add_argument("--shards", type=int, default=1, metavar="N", help="parts of like size (default: 1)")
    parser.add_argument("--json", action="store_true", help="the matrix of a workflow: {include: [{shard, runs}]}")
    parser.add_argument(
        "--lacking", metavar="STORE", help="only the runs of which a store has no record; exits with 1 then"
    )
    parser.add_argument("--run", type=int, metavar="N", help="make the runs of shard N here")
    parser.add_argument("--store", default="results", help="where they are kept (default: results)")
    return parser
