"""The two sides of a comparison, as they are typed: a store, a records.json, or a git revision of the runs in a store."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.record import Record, UnreadableRecord, decode
from benchmarks.leaderboard.report.rows import Run
from benchmarks.leaderboard.store import Store

RECORDS = "records.json"
SHA = re.compile(r"[0-9a-f]{4,40}")
SHOWN = 8
"""Commits that an error lists."""


@dataclass(frozen=True, eq=False)
class Side:
    """The runs of one side, all runs of the place they lie in (`history`), and what could not be read there."""

    typed: str
    description: str
    runs: tuple[Run, ...]
    history: tuple[Run, ...]
    unreadable: tuple[str, ...] = ()


def open_side(typed: str, stores: Sequence[Store], repository: Path | None = None) -> Side:
    """The side that was typed; a path that exists comes before a revision of that name.

    `stores` hold the runs of a revision, and `repository` is the checkout in which git resolves names like HEAD~1; a full
    or short sha needs none. Damaged records are named in `unreadable`; a side that cannot be read at all raises
    BenchmarkError.
    """
    path = Path(typed)
    if "://" in typed:
        return _records_side(typed, _fetched(typed)) if typed.endswith(".json") else _store_side(typed)
    if path.is_dir():
        listed = path / RECORDS  # a report's folder
        return _records_side(str(listed), _contents(listed)) if listed.is_file() else _store_side(typed)
    if path.is_file():
        return _records_side(typed, _contents(path))
    return _revision_side(typed, stores, repository)


def _store_side(typed: str) -> Side:
    runs, unreadable = _read([Store(typed)])
    return Side(typed, f"store {typed}", runs, runs, unreadable)


def _records_side(typed: str, content: bytes) -> Side:
    try:
        items = msgspec.json.decode(content)
    except msgspec.MsgspecError as error:
        raise BenchmarkError(f"{typed} is no JSON ({error}). Give the records.json that `report` writes.") from error
    if not isinstance(items, list):
        raise BenchmarkError(
            f"{typed} holds no list of records. Give the records.json that `report` writes, or a store."
        )
    runs, unreadable = [], []
    for index, item in enumerate(items):
        try:
            record = decode(msgspec.json.encode(item), f"{typed}[{index}]{_name_of(item)}")
        except UnreadableRecord as error:
            unreadable.append(str(error))
        else:
            # The files that a record lists do not come with the list.
            runs.append(Run(msgspec.structs.replace(record, files=[]), Store(Path(typed).parent)))
    return Side(typed, f"list {typed}", tuple(runs), tuple(runs), tuple(unreadable))


def _name_of(item: Any) -> str:
    return f" ({item['run_id']})" if isinstance(item, dict) and "run_id" in item else ""


def _revision_side(typed: str, stores: Sequence[Store], repository: Path | None) -> Side:
    where = " and ".join(store.root for store in stores)
    history, unreadable = _read(stores)
    known = Counter(run.record.provenance.git_sha for run in history if run.record.provenance.git_sha)
    sha = _resolve(typed, repository)
    found = [sha] if sha else sorted(each for each in known if SHA.fullmatch(typed) and each.startswith(typed))
    if not found:
        raise BenchmarkError(
            f"'{typed}' is no folder, no records.json, and no git revision that is known here. Type the path of a store, "
            f"of a records.json, or a commit. {_commits(known, where)}"
        )
    if len(found) > 1:
        raise BenchmarkError(f"'{typed}' begins several commits: {', '.join(found)}. Type more of it.")
    runs = tuple(run for run in history if run.record.provenance.git_sha == found[0])
    if not runs:
        raise BenchmarkError(
            f"Commit {found[0][:12]} ('{typed}') has no runs in {where}. Run the benchmark at that commit, or name another "
            f"store with --store PATH. {_commits(known, where)}"
        )
    return Side(typed, f"commit {found[0][:12]} in {where}", runs, history, unreadable)


def _commits(known: Counter[str], where: str) -> str:
    shown = ", ".join(f"{sha[:12]} ({count} runs)" for sha, count in known.most_common(SHOWN))
    return f"Commits with runs in {where}: {shown or 'none'}."


def _resolve(typed: str, repository: Path | None) -> str | None:
    """The full sha of a revision, None where git does not know it or is not there."""
    if repository is None:
        return None
    command = [
        "git",
        "-C",
        str(repository),
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        f"{typed}^{{commit}}",
    ]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip() or None
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def _read(stores: Sequence[Store]) -> tuple[tuple[Run, ...], tuple[str, ...]]:
    """All runs of the stores, the first store first where several hold one, and the damage found on the way."""
    runs: dict[str, Run] = {}
    unreadable = []
    for store in stores:
        for found in store.readable():
            if isinstance(found, Record):
                runs.setdefault(found.run_id, Run(found, store))
            else:
                unreadable.append(str(found))
    return tuple(runs.values()), tuple(unreadable)


def _contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be read: {error.strerror or error}.") from error


def _fetched(url: str) -> bytes:
    import fsspec

    try:
        with fsspec.open(url, "rb") as stream:
            return stream.read()
    except (ImportError, OSError, ValueError) as error:
        raise BenchmarkError(f"{url} cannot be read: {error}. Give a path, or install that file system.") from error
