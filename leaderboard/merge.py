"""Runs of several stores into one: what workers made apart becomes one store, and nothing in it is replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.draft import forget_newborn, list_drafts
from benchmarks.leaderboard.places import RECORD, digest, storing
from benchmarks.leaderboard.record import Record, UnreadableRecord, decode
from benchmarks.leaderboard.store import PLAIN, Store

Outcome = Literal["added", "duplicate", "refused", "left"]


@dataclass(frozen=True)
class Merged:
    """What became of one run: added, there already with the same record, refused as damaged or different, or left as a draft;
    `message` says why."""

    outcome: Outcome
    path: str
    message: str = ""


def merge(shards: list[Store], into: Store) -> Iterator[Merged]:
    """Copies every run of the shards that `into` lacks, bytes of records as they are, files checked against their hashes.

    Of a run that is there already the record must be equal, else it is refused, as damaged runs are. Drafts of workers
    that were killed are left; the next start with their store recovers them. Whatever is refused, the others are copied.
    """
    if into.drafts.is_dir():
        forget_newborn(into.drafts)
    present = {(task, run_id): content for task, run_id, content in into.place.records()}
    for shard in shards:
        found = 0
        for task, run_id, content in shard.place.records():
            found += 1
            path = shard.place.where(task, run_id)
            there = present.get((task, run_id))
            if content is None:
                yield Merged("refused", path, f"a folder without {RECORD} is no run")
            elif there == content:
                yield Merged("duplicate", path)
            elif there is not None:
                where = into.place.where(task, run_id, RECORD)
                yield Merged("refused", path, f"{where} is another record of this run, and runs are never replaced")
            else:
                merged = _adopt(shard, into, task, run_id, content)
                if merged.outcome != "refused":
                    present[task, run_id] = content
                yield merged
        for draft in list_drafts(shard.drafts):
            yield Merged("left", str(draft), "the draft of a run that goes on, or whose process was killed")
        if not found:
            yield Merged("left", shard.root, "this store is empty")


def _adopt(shard: Store, into: Store, task: str, run_id: str, content: bytes) -> Merged:
    """Copies one run beside the drafts, where readers do not look, and puts it in its place when it is whole."""
    path = shard.place.where(task, run_id)
    try:
        record = decode(content, shard.place.where(task, run_id, RECORD))
        _check_names(record, task, run_id)
    except UnreadableRecord as error:
        return Merged("refused", path, str(error))
    scratch = into.drafts / f".{run_id}~{os.getpid()}"
    try:
        with storing(scratch):
            scratch.mkdir(parents=True)
            for file in record.files:
                try:
                    sha256 = _copy(shard, task, run_id, file.name, scratch / file.name)
                except FileNotFoundError:
                    return Merged("refused", path, f"{file.name} is missing, which the record lists")
                if sha256 != file.sha256:
                    return Merged("refused", path, f"{file.name} is not the file that the record hashed")
            (scratch / RECORD).write_bytes(content)
            try:
                into.place.put(scratch, task, run_id)
            except FileExistsError:
                return Merged("refused", path, "another process has put a run there meanwhile; merge again")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Merged("added", path)


def _check_names(record: Record, task: str, run_id: str) -> None:
    """Refuses a record of another run, and names that cannot be those of folders: a shard comes from elsewhere."""
    if (record.task, record.run_id) != (task, run_id):
        raise UnreadableRecord(f"the record is of run {record.run_id} of task {record.task}")
    for name in (task, run_id):
        if not PLAIN.fullmatch(name):
            raise UnreadableRecord(f"'{name}' cannot name a folder")


def _copy(shard: Store, task: str, run_id: str, name: str, target: Path) -> str:
    """Copies a side file and returns its sha256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with shard.place.open(task, run_id, name) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)
    with target.open("rb") as stream:
        return digest(stream)


def require_runs(stores: list[Store]) -> None:
    """Raises BenchmarkError for a folder that is not there, and where no store holds a run: most likely a mistyped path."""
    missing = [store.root for store in stores if "://" not in store.root and not Path(store.root).is_dir()]
    if missing or not any(True for store in stores for _ in store.place.runs()):
        where = ", ".join(missing or [store.root for store in stores])
        raise BenchmarkError(f"No runs to merge in {where}. Give folders or URLs of stores, such as results.")
