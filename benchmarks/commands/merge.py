"""`python -m benchmarks merge SHARD... --store results`: the runs of several stores in one, nothing replaced, nothing lost."""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from benchmarks.leaderboard.merge import merge, require_runs
from benchmarks.leaderboard.store import Store


def main(argv: list[str]) -> int:
    """Prints a line for whatever was refused, and how many runs were copied; 1 where anything was refused."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks merge",
        description="Copy the runs of stores that were filled apart into one. A run that is there already is left as it is.",
        epilog="Exit code: 0 all runs are in the store now, 1 something was refused (each with its reason).",
    )
    parser.add_argument("shards", nargs="+", metavar="SHARD", help="a folder or an fsspec URL")
    parser.add_argument("--store", default="results", help="where the runs are copied to (default: results)")
    arguments = parser.parse_args(argv)
    shards, store = [Store(shard) for shard in arguments.shards], Store(arguments.store)
    require_runs(shards)
    counts: Counter[str] = Counter()
    for found in merge(shards, store):
        counts[found.outcome] += 1
        if found.message:
            print(f"{found.outcome} {found.path}: {found.message}", file=sys.stderr)
    print(f"{store.root}: {counts['added']} added, {counts['duplicate']} there already, {counts['refused']} refused")
    return 1 if counts["refused"] else 0
