"""`python -m benchmarks verify`: checks a store and exits with 1 where anything is wrong."""

from __future__ import annotations

import argparse

from benchmarks.leaderboard.store import Store, require
from benchmarks.leaderboard.verify import verify


def main(argv: list[str]) -> int:
    """Prints one line a problem; 0 where there is none."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks verify",
        description="Hash every file of a result store again, read every record, list dead drafts and conflicts.",
    )
    parser.add_argument("--store", default="results", help="a folder or an fsspec URL (default: results)")
    store = Store(parser.parse_args(argv).store)
    require(store)
    problems = verify(store)
    for problem in problems:
        print(f"{problem.kind:<11} {problem.path}: {problem.message}")
    runs = sum(1 for _ in store.place.runs())
    print(f"{store.root}: {runs} runs, {len(problems)} problems")
    return 1 if problems else 0
