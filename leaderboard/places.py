"""Where committed runs lie: a local folder, or a tree behind an fsspec URL; both hold `<task>/<run_id>/record.json`."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

from benchmarks.errors import BenchmarkError

RECORD = "record.json"


class Place(Protocol):
    """Committed runs. A run exists once its `record.json` does; names of side files are relative, with '/'."""

    def runs(self, task: str | None = None) -> Iterator[tuple[str, str]]:
        """Task and folder name of every run folder, sorted, whether or not it holds a record."""

    def names(self, task: str, run_id: str) -> list[str]:
        """The files of a run, sorted."""

    def open(self, task: str, run_id: str, name: str) -> IO[bytes]:
        """Opens a file of a run; raises FileNotFoundError."""

    def put(self, folder: Path, task: str, run_id: str) -> Path:
        """Moves a complete run here and returns the local folder with its files; raises OSError where one is there."""

    def fetch(self, task: str, run_id: str) -> Path:
        """A local folder with the files of a run."""

    def where(self, task: str, run_id: str, name: str = "") -> str:
        """The path or URL of a run or of a file of it, for messages."""


class LocalPlace:
    """A folder of the file system: moving a run in is one rename, so that no reader sees half of it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def runs(self, task: str | None = None) -> Iterator[tuple[str, str]]:
        if not self.root.is_dir():
            return
        tasks = (
            [self.root / task] if task else sorted(p for p in self.root.iterdir() if p.name[0] != "." and p.is_dir())
        )
        for folder in tasks:
            if folder.is_dir():
                yield from ((folder.name, run.name) for run in sorted(folder.iterdir()) if run.is_dir())

    def names(self, task: str, run_id: str) -> list[str]:
        return list_files(self.root / task / run_id)

    def open(self, task: str, run_id: str, name: str) -> IO[bytes]:
        return (self.root / task / run_id / name).open("rb")

    def put(self, folder: Path, task: str, run_id: str) -> Path:
        target = self.root / task / run_id
        if (target / RECORD).exists():
            raise FileExistsError(f"{target} exists")
        target.parent.mkdir(parents=True, exist_ok=True)
        # Refused by the system where another process put a run there meanwhile: its folder is not empty.
        os.rename(folder, target)
        sync(target.parent)
        return target

    def fetch(self, task: str, run_id: str) -> Path:
        return self.root / task / run_id

    def where(self, task: str, run_id: str, name: str = "") -> str:
        return str(self.root / task / run_id / name)


class RemotePlace:
    """An fsspec URL: side files are uploaded first and `record.json` last, as the mark that the run is whole."""

    def __init__(self, url: str, cache: Path) -> None:
        try:
            from fsspec.core import url_to_fs

            self.fs, self.root = url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise BenchmarkError(
                f"store={url} cannot be opened: {error}. Use a folder, or install that file system."
            ) from error
        self.url = url.rstrip("/")
        self.cache = cache

    def runs(self, task: str | None = None) -> Iterator[tuple[str, str]]:
        for parent in [self._path(task)] if task else sorted(self._folders(self.root)):
            name = parent.rstrip("/").rsplit("/", 1)[-1]
            if not name.startswith("."):
                yield from ((name, run.rstrip("/").rsplit("/", 1)[-1]) for run in sorted(self._folders(parent)))

    def names(self, task: str, run_id: str) -> list[str]:
        base = self._path(task, run_id)
        return sorted(path[len(base) :].lstrip("/") for path in self.fs.find(base))

    def open(self, task: str, run_id: str, name: str) -> IO[bytes]:
        return self.fs.open(self._path(task, run_id, name), "rb")

    def put(self, folder: Path, task: str, run_id: str) -> Path:
        if self.fs.exists(self._path(task, run_id, RECORD)):
            raise FileExistsError(f"{self.where(task, run_id)} exists")
        side_files = [name for name in list_files(folder) if name != RECORD]
        for name in [*side_files, RECORD]:
            path = self._path(task, run_id, name)
            self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            self.fs.put_file(str(folder / name), path)
        local = self.cache / task / run_id
        local.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(local, ignore_errors=True)
        os.rename(folder, local)
        return local

    def fetch(self, task: str, run_id: str) -> Path:
        target = self.cache / task / run_id
        for name in self.names(task, run_id):
            if not (target / name).exists():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                partial = target / f"{name}.part"
                self.fs.get_file(self._path(task, run_id, name), str(partial))
                partial.replace(target / name)
        return target

    def where(self, task: str, run_id: str, name: str = "") -> str:
        return "/".join(part for part in (self.url, task, run_id, name) if part)

    def _path(self, *parts: str) -> str:
        return "/".join([self.root.rstrip("/"), *parts])

    def _folders(self, path: str) -> list[str]:
        try:
            listed: list[dict[str, Any]] = self.fs.ls(path, detail=True)
        except FileNotFoundError:
            return []
        return [entry["name"] for entry in listed if entry["type"] == "directory"]


def list_files(folder: Path) -> list[str]:
    """Relative names of all files below a folder, sorted, with '/'."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def digest(stream: IO[bytes]) -> str:
    """sha256 of a stream, read in pieces."""
    sha = hashlib.sha256()
    while piece := stream.read(1 << 20):
        sha.update(piece)
    return sha.hexdigest()


def sync(path: Path) -> None:
    """Forces a file, or the entries of a folder, to the disk."""
    if path.is_dir() and os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def storing(where: Path | str) -> Iterator[None]:
    """Turns an error of the file system into the one message that users see."""
    try:
        yield
    except OSError as error:
        raise BenchmarkError(
            f"The result store cannot be written: {where}: {error.strerror or error}. "
            "Free some space, or name another folder with store=PATH."
        ) from error
