"""`python -m benchmarks publish RUN...`: copies runs into the repository, where every report shows them."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.leaderboard.publish import PUBLISHED, publish
from benchmarks.leaderboard.store import Store


def main(argv: list[str]) -> int:
    """Prints the folder of each published run."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks publish",
        description="Copy records with their replicates and predictions; data, weights and logs stay where they are.",
    )
    parser.add_argument("runs", nargs="+", metavar="RUN", help="a run id of the store, or the path of a run folder")
    parser.add_argument("--store", default="results", help="a folder or an fsspec URL (default: results)")
    parser.add_argument("--to", type=Path, default=PUBLISHED, help="the folder of published runs")
    parser.add_argument("--allow-dirty", action="store_true", help="also runs that uncommitted code made")
    parser.add_argument(
        "--no-predictions", action="store_true", help="a fifth of the room: for the many runs of a curve"
    )
    arguments = parser.parse_args(argv)
    store = Store(arguments.store)
    for run in arguments.runs:
        keep = not arguments.no_predictions
        print(publish(store, run, arguments.to, allow_dirty=arguments.allow_dirty, predictions=keep))
    return 0
