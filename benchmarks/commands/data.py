"""`python -m benchmarks data`: which data sets there are, fetch them, verify them, tell where they lie."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from benchmarks.datasets.card import DatasetCard, cards, load_card
from benchmarks.errors import BenchmarkError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one of list, fetch, verify and where; returns the exit status, 1 where anything failed."""
    arguments = _parser().parse_args(argv)
    return arguments.run(arguments)


def _list(arguments: argparse.Namespace) -> int:
    from benchmarks.datasets.cache import root, state

    rows = [("id", "task", "size", "state", "licence")]
    for name in sorted(cards()):
        card = load_card(name)
        rows.append((name, ", ".join(card.task), _size(card), state(card), card.licence))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]))
    print(f"\nCache: {root()}")
    if by_hand := [row[0] for row in rows if row[3] == "by hand"]:
        print(f"By hand: `python -m benchmarks data fetch {by_hand[0]}` tells what to put where.")
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    from benchmarks.datasets.cache import fetch

    status = 0
    for card in [load_card(name) for name in arguments.ids]:
        try:
            paths = fetch(card, files=[file.path for file in card.files] if arguments.optional else None)
        except BenchmarkError as error:
            print(error, file=sys.stderr)
            status = 1
        else:
            for path in paths.values():
                print(path)
            if not card.files:
                print(f"{card.id} is simulated: there is nothing to fetch.")
    return status


def _verify(arguments: argparse.Namespace) -> int:
    from benchmarks.datasets.cache import audit

    status = 0
    for card in [load_card(name) for name in arguments.ids or sorted(cards())]:
        for path, found in audit(card).items():
            expected = card.file(path)
            if found is not None and expected.checksum is None:
                print(f"found    {card.id}/{path}: sha256 {found}; no publisher's checksum is known")
            elif found is not None and found == expected.checksum:
                print(f"ok       {card.id}/{path}")
            elif found is not None:
                print(f"corrupt  {card.id}/{path}: expected {expected.demand}, found {found}")
                status = 1
            elif arguments.ids and not expected.optional:
                print(f"missing  {card.id}/{path}")
                status = 1
    if status:
        print("`python -m benchmarks data fetch ID` replaces what is corrupt or missing.", file=sys.stderr)
    return status


def _where(arguments: argparse.Namespace) -> int:
    from benchmarks.datasets.cache import folder, root

    print(folder(load_card(arguments.id)) if arguments.id else root())
    return 0


def _size(card: DatasetCard) -> str:
    sizes = [file.bytes for file in card.required]
    if not sizes:
        return "-"
    known = [size for size in sizes if size is not None]
    return f"{sum(known) / 1e6:.1f} MB" if len(known) == len(sizes) else "unknown"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks data",
        description="Data sets and their files.",
        epilog="BENCH_DATA: the cache folder. BENCH_MIRROR: a folder or address that is asked before the internet. "
        "BENCH_OFFLINE=1: never download.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="all data sets with task, size, state and licence")
    listing.set_defaults(run=_list)
    fetching = commands.add_parser("fetch", help="bring data sets into the cache")
    fetching.add_argument("ids", nargs="+", metavar="ID")
    fetching.add_argument("--optional", action="store_true", help="optional files (published weights) too")
    fetching.set_defaults(run=_fetch)
    verifying = commands.add_parser("verify", help="hash all cached files again")
    verifying.add_argument("ids", nargs="*", metavar="ID")
    verifying.set_defaults(run=_verify)
    telling = commands.add_parser("where", help="the folder of a data set, or of the cache")
    telling.add_argument("id", nargs="?", metavar="ID")
    telling.set_defaults(run=_where)
    return parser
