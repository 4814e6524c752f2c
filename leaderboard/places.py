"""Where committed runs lie: `<task>/<run_id>/record.json` in a local folder, or behind a URL (`remote_place.py`)."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from benchmarks.errors import BenchmarkError

RECORD = "record.json"
NOTE = "draft.json"
"""What a draft says of itself; it stays until the run is in its place, so that no other process takes it up."""


class Unwritable(BenchmarkError):
    """The store's file system refuses to write. What a run has made so far stays where it is, for the next start."""


class Unreachable(BenchmarkError):
    """A remote store does not answer. As with `Unwritable`, what a run has made so far stays for the next start."""


class Place(Protocol):
    """Committed runs. A run exists once its `record.json` does; names of side files are relative, with '/'."""

    def runs(self, task: str | None = None) -> Iterator[tuple[str, str]]:
        """Task and folder name of every run folder, sorted, whether or not it holds a record."""

    def records(self, task: str | None = None) -> Iterator[tuple[str, str, bytes | None]]:
        """As `runs`, each with the content of its `record.json`, None where it has none."""

    def has(self, task: str, run_id: str) -> bool:
        """Whether a run with its record is there."""

    def names(self, task: str, run_id: str) -> list[str]:
        """The files of a run, sorted."""

    def open(self, task: str, run_id: str, name: str) -> IO[bytes]:
        """Opens a file of a run; raises FileNotFoundError."""

    def put(self, folder: Path, task: str, run_id: str) -> Path:
        """Moves a complete run here, its note of a draft apart, and returns the local folder with its files.

        Raises FileExistsError where a run is there already, and Unreachable where a remote store does not answer.
        """

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

    def records(self, task: str | None = None) -> Iterator[tuple[str, str, bytes | None]]:
        for found, run_id in self.runs(task):
            try:
                content: bytes | None = (self.root / found / run_id / RECORD).read_bytes()
            except FileNotFoundError:
                content = None
            yield found, run_id, content

    def has(self, task: str, run_id: str) -> bool:
        return (self.root / task / run_id / RECORD).is_file()

    def names(self, task: str, run_id: str) -> list[str]:
        return list_files(self.root / task / run_id)

    def open(self, task: str, run_id: str, name: str) -> IO[bytes]:
        return (self.root / task / run_id / name).open("rb")

    def put(self, folder: Path, task: str, run_id: str) -> Path:
        target = self.root / task / run_id
        if (target / RECORD).exists():
            raise FileExistsError(f"{target} exists")
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / NOTE).unlink(missing_ok=True)
        try:
            os.rename(folder, target)
        except OSError as error:  # another process has put a run there meanwhile, or a folder without a record is there
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise FileExistsError(error.errno, "there is a run already", str(target)) from error
            raise
        sync(target.parent)
        return target

    def fetch(self, task: str, run_id: str) -> Path:
        return self.root / task / run_id

    def where(self, task: str, run_id: str, name: str = "") -> str:
        return str(self.root / task / run_id / name)


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
        raise Unwritable(
            f"The result store cannot be written: {where}: {error.strerror or error}. "
            "Free some space, or name another folder with store=PATH."
        ) from error
