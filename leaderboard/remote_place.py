"""Runs behind an fsspec URL (`s3://`, `gs://`, `memory://`). An object store has no rename: the last upload is the commit."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.places import NOTE, RECORD, Unreachable, digest, list_files
from benchmarks.leaderboard.record import UnreadableRecord, decode

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
"""By protocol the extra of this package that installs its file system."""
TOGETHER = 500
"""Records that are asked for at once: file systems that can do so fetch them side by side."""


class RemotePlace:
    """Side files are uploaded first and `record.json` last, as the mark that the run is whole; nothing is ever replaced.

    Run ids are unique, so that writers need no lock. Records never change, so that each is fetched once and kept in
    `cache`, where whole runs lie as well that were made or fetched here. `verify` reads what is behind the URL.
    """

    def __init__(self, url: str, cache: Path) -> None:
        try:
            from fsspec.core import url_to_fs

            # A listing that a file system remembers would hide the runs of other writers.
            self.fs, self.root = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            extra = EXTRAS.get(url.partition("://")[0])
            remedy = f"pip install 'lowrank-benchmarks[{extra}]'" if extra else "install that file system"
            raise BenchmarkError(f"store={url} cannot be opened: {error}. Use a folder, or {remedy}.") from error
        self.url = url.rstrip("/")
        self.cache = cache

    def runs(self, task: str | None = None) -> Iterator[tuple[str, str]]:
        for name in [task] if task else self._folders():
            yield from ((name, run_id) for run_id in self._folders(name))

    def records(self, task: str | None = None) -> Iterator[tuple[str, str, bytes | None]]:
        runs = self.runs(task)
        while some := list(islice(runs, TOGETHER)):
            kept = {run: self._kept(*run) for run in some}
            kept |= self._ask_for([run for run, content in kept.items() if content is None])
            yield from ((*run, content) for run, content in kept.items())

    def has(self, task: str, run_id: str) -> bool:
        with self._asking():
            return self.fs.exists(self._path(task, run_id, RECORD))

    def names(self, task: str, run_id: str) -> list[str]:
        base = self._path(task, run_id)
        with self._asking():
            return sorted(path[len(base) :].lstrip("/") for path in self.fs.find(base))

    def open(self, task: str, run_id: str, name: str) -> IO[bytes]:
        with self._asking():
            return self.fs.open(self._path(task, run_id, name), "rb")

    def put(self, folder: Path, task: str, run_id: str) -> Path:
        if self.has(task, run_id):
            raise FileExistsError(f"{self.where(task, run_id)} exists")
        side_files = [name for name in list_files(folder) if name not in (RECORD, NOTE)]
        with self._asking():
            try:
                if side_files:
                    self.fs.put(
                        [str(folder / name) for name in side_files],
                        [self._path(task, run_id, name) for name in side_files],
                    )
                self.fs.put_file(str(folder / RECORD), self._path(task, run_id, RECORD))
            except FileNotFoundError as error:
                if not (folder / RECORD).is_file():
                    raise  # another process was faster with this folder
                raise ConnectionError(error) from error  # the bucket is not there
        local = self.cache / task / run_id
        local.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(local, ignore_errors=True)
        (folder / NOTE).unlink(missing_ok=True)
        os.rename(folder, local)
        return local

    def fetch(self, task: str, run_id: str) -> Path:
        """The cached folder of a run, completed by what is missing there; what arrives is hashed against the record."""
        target = self.cache / task / run_id
        content = self._kept(task, run_id) or self._ask_for([(task, run_id)])[task, run_id]
        if content is None:
            raise UnreadableRecord(f"{self.where(task, run_id, RECORD)} is missing")
        for file in decode(content, self.where(task, run_id, RECORD)).files:
            if not (target / file.name).exists():
                self._fetch_file(task, run_id, file.name, file.sha256)
        if not (target / RECORD).exists():
            self._keep(task, run_id, content)
        return target

    def where(self, task: str, run_id: str, name: str = "") -> str:
        return "/".join(part for part in (self.url, task, run_id, name) if part)

    def _fetch_file(self, task: str, run_id: str, name: str, sha256: str) -> None:
        target = self.cache / task / run_id / name
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = _beside(target)
        try:
            with self._asking():
                try:
                    self.fs.get_file(self._path(task, run_id, name), str(partial))
                except FileNotFoundError:
                    return  # `verify` tells of it; whoever needs this file says that the run has none
            with partial.open("rb") as stream:
                if digest(stream) != sha256:
                    raise BenchmarkError(
                        f"{self.where(task, run_id, name)} is not the file that the record hashed. "
                        f"Type: python -m benchmarks verify --store {self.url}"
                    )
            partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def _ask_for(self, runs: list[tuple[str, str]]) -> dict[tuple[str, str], bytes | None]:
        """The records of some runs, fetched together; None where a run has none."""
        if not runs:
            return {}
        paths = [self._path(*run, RECORD) for run in runs]
        with self._asking():
            answers: dict[str, Any] = self.fs.cat(paths, on_error="return")
            found: dict[tuple[str, str], bytes | None] = {}
            for run, path in zip(runs, paths, strict=True):
                answer = answers.get(path, answers.get(path.lstrip("/")))
                if isinstance(answer, Exception) and not isinstance(answer, FileNotFoundError):
                    raise answer
                found[run] = answer if isinstance(answer, bytes) else None
        for run, content in found.items():
            if content is not None:
                self._keep(*run, content)
        return found

    def _kept(self, task: str, run_id: str) -> bytes | None:
        try:
            return (self.cache / task / run_id / RECORD).read_bytes() or None
        except OSError:
            return None

    def _keep(self, task: str, run_id: str, content: bytes) -> None:
        """Remembers a record, where this machine's cache can be written."""
        target = self.cache / task / run_id / RECORD
        partial = _beside(target)
        with suppress(OSError):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(content)
            partial.replace(target)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Turns whatever a file system says (its errors have no class in common) into the message that users see."""
        try:
            yield
        except (FileNotFoundError, BenchmarkError):
            raise
        except Exception as error:
            raise Unreachable(
                f"The store {self.url} does not answer: {type(error).__name__}: {error}. "
                "Check its address, your credentials and the network, or name another one with store=PATH."
            ) from error

    def _path(self, *parts: str) -> str:
        return "/".join([self.root.rstrip("/"), *parts])

    def _folders(self, *parts: str) -> list[str]:
        """Names of the folders in a folder, sorted, hidden ones left out."""
        with self._asking():
            try:
                listed: list[dict[str, Any]] = self.fs.ls(self._path(*parts), detail=True)
            except FileNotFoundError:
                return []
        names = (entry["name"].rstrip("/").rsplit("/", 1)[-1] for entry in listed if entry["type"] == "directory")
        return sorted(name for name in names if not name.startswith("."))


def _beside(path: Path) -> Path:
    """A name of this thread alone, for what is not whole yet."""
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}")
