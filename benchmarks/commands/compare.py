"""`python -m benchmarks compare BASE HEAD`: a regression verdict; 0 fine, 1 regression, 2 nothing comparable or unreadable."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from benchmarks.commands.report import with_published, write_text
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.compare import compare, open_side
from benchmarks.leaderboard.compare.text import console, markdown
from benchmarks.leaderboard.store import Store

ROOT = Path(__file__).resolve().parents[2]
UNREADABLE = 2


def main(argv: list[str]) -> int:
    """Compares two sides, prints the verdict and writes what was asked for.

    An error exits with 2 here, not with 1 as elsewhere: whoever reads 1 shall be able to rely on a regression.
    """
    arguments = _parser().parse_args(argv)
    try:
        stores = [Store(arguments.store)] if arguments.no_published else with_published(Store(arguments.store))
        repository = ROOT if (ROOT / ".git").exists() else Path.cwd()
        base, head = (open_side(typed, stores, repository) for typed in (arguments.base, arguments.head))
        found = compare(base, head, allow_missing=arguments.allow_missing, strict=arguments.strict)
        if arguments.html:
            from benchmarks.leaderboard.compare.page import page

            write_text(arguments.html, page(found))
        if arguments.markdown and arguments.markdown != "-":
            write_text(Path(arguments.markdown), markdown(found))
        if arguments.regressed:
            from benchmarks.plan import repeatable

            lines = [shlex.join(repeatable(record.overrides)) for record in found.regressed]
            write_text(arguments.regressed, "".join(f"{line}\n" for line in dict.fromkeys(lines)))
    except BenchmarkError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNREADABLE
    print(markdown(found) if arguments.markdown == "-" else console(found))
    return found.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks compare",
        description="Has anything become worse? Rows are paired by cell, method, model, configuration and seed.",
        epilog="Exit code: 0 fine, 1 regression, 2 nothing comparable or unreadable.",
    )
    side = "a store (folder or fsspec URL), a records.json, or a git revision of the runs in --store"
    parser.add_argument("base", metavar="BASE", help=side)
    parser.add_argument("head", metavar="HEAD", help="the same, for what is judged")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with all rows")
    parser.add_argument(
        "--markdown", metavar="FILE", help="write a summary for a comment; - prints it instead of the text"
    )
    parser.add_argument(
        "--regressed", type=Path, metavar="FILE", help="write the commands of regressed rows, for `plan --file`"
    )
    parser.add_argument("--store", default="results", help="where the runs of revisions are (default: results)")
    parser.add_argument("--no-published", action="store_true", help="without the runs that the repository publishes")
    parser.add_argument("--allow-missing", action="store_true", help="HEAD may hold a part of the rows of BASE")
    parser.add_argument("--strict", action="store_true", help="also fail on what should be checked, as too good a row")
    return parser
