"""The result store: one folder a run, committed whole, never changed; drafts, locks and checkpoints beside them."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.errors import BenchmarkError, unknown
from benchmarks.leaderboard.draft import Draft, DraftNote, forget_newborn, list_drafts, recover_draft
from benchmarks.leaderboard.places import RECORD, LocalPlace, Place, storing
from benchmarks.leaderboard.record import Record, Status, UnreadableRecord, decode

PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+=-]*")


class Store:
    """Runs below `root`, a folder or an fsspec URL, as `<task>/<run_id>/record.json` with side files.

    Drafts (`.draft/`), locks (`.locks/`) and kept checkpoints (`.resume/`) lie in the same folder, or, for a URL, in
    this machine's cache. Reading creates nothing.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        if self.root.startswith("file://"):
            self.root = self.root.removeprefix("file://")
        if "://" in self.root:
            import platformdirs

            from benchmarks.leaderboard.remote_place import RemotePlace

            name = hashlib.sha256(self.root.encode()).hexdigest()[:16]
            self.work = platformdirs.user_cache_path("lowrank-benchmarks") / "stores" / name
            self.place: Place = RemotePlace(self.root, self.work / "runs")
        else:
            self.work = Path(self.root).absolute()
            self.place = LocalPlace(self.work)

    @property
    def drafts(self) -> Path:
        """Where the runs in the making lie."""
        return self.work / ".draft"

    def begin(self, record: Record) -> Draft:
        """Opens the draft of a run (status `running`); raises BenchmarkError at once where nothing can be stored."""
        for name in (record.task, record.run_id, record.key):
            if not PLAIN.fullmatch(name):
                raise ValueError(f"'{name}' cannot name a folder: letters, digits and _ . + = - only, no leading dot.")
        folder = self.drafts / record.run_id
        if self.place.has(record.task, record.run_id) or folder.exists():
            raise BenchmarkError(
                f"Run {record.run_id} exists already in {self.root}; runs are never replaced, so each needs its own id."
            )
        # Born under another name: a process killed between the folder and its note must not leave a draft without one.
        newborn = self.drafts / f".{record.run_id}~{os.getpid()}"
        try:
            with storing(self.drafts):
                newborn.mkdir(parents=True)
                DraftNote.of(record, "begin").write(newborn)
                os.rename(newborn, folder)
        finally:
            shutil.rmtree(newborn, ignore_errors=True)
        return Draft(folder, record, self.place, self._resume_path(record.key))

    def records(self, task: str | None = None, status: Status | None = None) -> Iterator[Record]:
        """All committed records, by task and run id; one that cannot be read raises UnreadableRecord with its path."""
        for record in self.readable(task):
            if isinstance(record, UnreadableRecord):
                raise record
            if status in (None, record.status):
                yield record

    def readable(self, task: str | None = None) -> Iterator[Record | UnreadableRecord]:
        """As `records`, for readers who name damage and go on: a record that cannot be read comes as its error."""
        return (record for _, record in self.scan(task))

    def scan(self, task: str | None = None, key: str | None = None) -> Iterator[tuple[str, Record | UnreadableRecord]]:
        """As `readable`, each with its path; with `key` without most of those that have another one."""
        for found, run_id, content in self.place.records(task):
            if content is None:
                continue  # no run; `verify` lists it
            # What has a key and does not even hold this text need not be decoded, which is most of what a large store costs.
            if key is not None and key.encode() not in content and b'"key"' in content:
                continue
            where = self.place.where(found, run_id, RECORD)
            try:
                record: Record | UnreadableRecord = decode(content, where)
            except UnreadableRecord as error:
                record = error
            yield where, record

    def find(self, key: str) -> Record | None:
        """The latest `ok` record with this key, or None."""
        found = [record for _, record in self.scan(key=key)]
        if damaged := next((each for each in found if isinstance(each, UnreadableRecord)), None):
            raise damaged
        same = [each for each in found if isinstance(each, Record) and each.key == key and each.status == "ok"]
        return max(same, key=lambda record: record.created_utc, default=None)

    def get(self, run_id: str) -> Record:
        """The record of a run; raises BenchmarkError with the nearest id for an unknown one."""
        task = self._task_of(run_id)
        record = self._load(task, run_id)
        if record is None:
            raise UnreadableRecord(f"{self.place.where(task, run_id, RECORD)} is missing")
        return record

    def folder(self, run_id: str) -> Path:
        """The folder of a run, given its id or its path; a run of a remote store is fetched."""
        path = Path(run_id)
        if (path / RECORD).is_file():
            return path
        return self.place.fetch(self._task_of(run_id), run_id)

    def read_file(self, run: Record | str, name: str) -> bytes:
        """The content of a side file; raises FileNotFoundError where the run has none of that name."""
        task, run_id = (run.task, run.run_id) if isinstance(run, Record) else (self._task_of(run), run)
        with self.place.open(task, run_id, name) as stream:
            return stream.read()

    def read_end(self, run: Record, name: str, most: int) -> bytes:
        """The last `most` bytes of a side file: of a log of gigabytes no more is read."""
        with self.place.open(run.task, run.run_id, name) as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - most))
            return stream.read()

    def recover(self) -> list[Record]:
        """Commits what dead processes left behind, mostly as `interrupted`, and returns those records.

        A process is dead if its id is gone from this machine, or, on another one, without a heartbeat for an hour. Its
        checkpoints are kept for `resume_folder`.
        """
        if not self.drafts.is_dir():
            return []
        forget_newborn(self.drafts)
        found = (recover_draft(folder, self.place, self._resume_path) for folder in list_drafts(self.drafts))
        return [record for record in found if record is not None]

    def resume_folder(self, key: str) -> Path | None:
        """The checkpoints that an interrupted run with this key left, or None; move them into the new draft."""
        path = self._resume_path(key)
        return path if path.is_dir() else None

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Held by one process of those that share this folder (of a remote store: by one of this machine)."""
        import filelock

        path = self.work / ".locks" / f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.lock"
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = filelock.FileLock(path)
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def _resume_path(self, key: str) -> Path:
        return self.work / ".resume" / key

    def _task_of(self, run_id: str) -> str:
        tasks = {name: task for task, name in self.place.runs()}
        if run_id not in tasks:
            raise unknown("run", run_id, tasks, remedy=f"The store is {self.root}; name another with store=PATH.")
        return tasks[run_id]

    def _load(self, task: str, run_id: str) -> Record | None:
        """The record in a run folder; None where the folder has none, so that it holds no run (`verify` lists it)."""
        try:
            with self.place.open(task, run_id, RECORD) as stream:
                return decode(stream.read(), self.place.where(task, run_id, RECORD))
        except FileNotFoundError:
            return None


def require(store: Store) -> None:
    """Raises BenchmarkError for a folder that is not there, most likely a mistyped path."""
    if "://" not in store.root and not Path(store.root).is_dir():
        raise BenchmarkError(f"There is no store {store.root}. Type for example --store results.")
