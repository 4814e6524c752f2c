"""A run in the making: a folder apart from the runs, which one rename makes a run or a crash leaves behind."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard import process
from benchmarks.leaderboard.places import NOTE as DRAFT
from benchmarks.leaderboard.places import RECORD, Place, Unreachable, digest, list_files, storing, sync
from benchmarks.leaderboard.record import Failure, Record, SideFile, decode, encode

CHECKPOINTS = "checkpoints"
HEARTBEAT_SECONDS = 300
STALE_SECONDS = 3600
RESUMABLE = frozenset({"interrupted", "timeout"})
"""A run that ended so goes on from its checkpoints; one that failed would only fail again."""


class DraftNote(msgspec.Struct, kw_only=True):
    """What a draft says of itself: who makes it, since when, in which phase, and the record as far as it is known."""

    pid: int
    host: str
    started: str | None
    key: str
    phase: str
    record: Record

    @classmethod
    def of(cls, record: Record, phase: str) -> DraftNote:
        """The note of a draft that this process makes."""
        pid = os.getpid()
        started = process.start_time(pid)
        return cls(pid=pid, host=process.host(), started=started, key=record.key, phase=phase, record=record)

    @classmethod
    def read(cls, folder: Path) -> DraftNote:
        """Raises FileNotFoundError, or BenchmarkError with the path where the note cannot be read."""
        path = folder / DRAFT
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except msgspec.MsgspecError as error:
            raise BenchmarkError(
                f"The draft {path} cannot be read ({error}). Remove its folder if it is of no use."
            ) from error

    def write(self, folder: Path) -> None:
        """Replaces the note in one step."""
        temporary = folder / f".{DRAFT}.{os.getpid()}"
        temporary.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))
        sync(temporary)
        os.replace(temporary, folder / DRAFT)


class Draft:
    """What a runner fills. `folder` takes its side files; `checkpoints/` below it is working space, never committed."""

    def __init__(self, folder: Path, record: Record, place: Place, resume: Path) -> None:
        self.folder = folder
        self.record = record
        self._place = place
        self._resume = resume
        self._ended = threading.Event()
        threading.Thread(target=self._beat, daemon=True, name=f"heartbeat {record.run_id}").start()

    def enter(self, phase: str) -> None:
        """Notes the phase, so that the record of a killed run can name it."""
        with storing(self.folder):
            DraftNote.of(self.record, phase).write(self.folder)

    def commit(self, record: Record) -> Path:
        """Makes the run a record and returns its folder (of a remote store: the local copy).

        Side files are forced to the disk and hashed, `record.json` is written last. Raises ValueError for NaN, infinity
        or a record of another run, and BenchmarkError where the disk is full or the run exists; the draft then stays.
        """
        if (record.run_id, record.task, record.key) != (self.record.run_id, self.record.task, self.record.key):
            raise ValueError(f"Run {record.run_id} cannot be committed from the draft of run {self.record.run_id}.")
        if record.status == "running":
            raise ValueError(f"Run {record.run_id} is still running: a committed record says how it ended.")
        folder = place(self.folder, seal(self.folder, record), self._place, self._resume)
        self._ended.set()
        return folder

    def discard(self) -> None:
        """Removes the draft with all that it holds but checkpoints, from which the next start of the run goes on."""
        self._ended.set()
        _put_checkpoints_aside(self.folder / CHECKPOINTS, self._resume, keep=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            try:
                os.utime(self.folder / DRAFT)
            except OSError:
                return


def seal(folder: Path, record: Record) -> Record:
    """Completes a draft folder: hashes its side files and writes `record.json`, which is returned with them."""
    encode(record)  # refuses NaN before anything is touched
    with storing(folder):
        for leftover in [*folder.glob(f".{DRAFT}.*"), *folder.glob(f".{RECORD}.*")]:
            leftover.unlink(missing_ok=True)
        files = []
        for name in list_files(folder):
            if name in (DRAFT, RECORD) or name.startswith(f"{CHECKPOINTS}/"):
                continue
            path = folder / name
            sync(path)
            with path.open("rb") as stream:
                files.append(SideFile(name=name, sha256=digest(stream), bytes=path.stat().st_size))
        written = msgspec.structs.replace(record, files=files)
        _write_new(folder / RECORD, encode(written))
        sync(folder)
    return written


def place(folder: Path, record: Record, to: Place, resume: Path) -> Path:
    """Moves a sealed draft to its place, its checkpoints to `resume` or away; an existing run is a BenchmarkError."""
    with storing(to.where(record.task, record.run_id)):
        _put_checkpoints_aside(folder / CHECKPOINTS, resume, keep=record.status in RESUMABLE)
        if record.status == "ok":
            shutil.rmtree(resume, ignore_errors=True)
        try:
            return to.put(folder, record.task, record.run_id)
        except Unreachable as error:
            raise Unreachable(
                f"{error} The finished run is kept in {folder}; the next start with this store brings it there."
            ) from error
        except OSError as error:
            there = _read(to, record)
            if there == encode(record):  # another process recovered this very draft meanwhile
                shutil.rmtree(folder, ignore_errors=True)
                return to.fetch(record.task, record.run_id)
            if there is not None:
                raise BenchmarkError(
                    f"Run {record.run_id} exists already at {to.where(record.task, record.run_id)}; runs are never "
                    f"replaced. What was to be stored lies in {folder}: remove one of the two."
                ) from error
            raise


def is_stale(folder: Path, note: DraftNote) -> bool:
    """Whether nobody works on a draft any more."""
    if note.host == process.host():
        running = process.alive(note.pid, note.started)
        if running is not None:
            return not running
    try:
        return time.time() - (folder / DRAFT).stat().st_mtime > STALE_SECONDS
    except FileNotFoundError:
        return False


def interrupted(folder: Path, note: DraftNote) -> Record:
    """The record of a run whose process is gone; it ended, as far as anyone knows, at its last heartbeat."""
    seen = f"{datetime.fromtimestamp((folder / DRAFT).stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
    failure = Failure(
        phase=note.phase,
        exception="Interrupted",
        message=f"The process (id {note.pid}) ended without a result, last seen at {seen}.",
        advice="Type the same command again: training goes on from the last checkpoint, where one was written.",
    )
    return msgspec.structs.replace(note.record, status="interrupted", finished_utc=seen, failure=failure)


def recover_draft(folder: Path, to: Place, resume_of: Callable[[str], Path]) -> Record | None:
    """Commits a draft that nobody works on and returns its record; None where somebody does or another was faster.

    A draft that holds `record.json` was killed between sealing and moving: it is moved. Every other one is claimed by a
    rename, which only one process can do, and becomes `interrupted`.
    """
    try:
        if (folder / RECORD).exists():
            if (folder / DRAFT).exists() and not is_stale(folder, DraftNote.read(folder)):
                return None
            record = decode((folder / RECORD).read_bytes(), str(folder / RECORD))
        else:
            note = DraftNote.read(folder)
            if not is_stale(folder, note):
                return None
            record = interrupted(folder, note)
            claimed = folder.with_name(f"{note.record.run_id}~{os.getpid()}")
            os.rename(folder, claimed)
            # From here on this process answers for the draft; the note fails where yet another one took it.
            folder = claimed
            DraftNote.of(note.record, note.phase).write(folder)
            record = seal(folder, record)
        place(folder, record, to, resume_of(record.key))
    except FileNotFoundError:
        return None
    except BenchmarkError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise
    return record


def list_drafts(drafts: Path) -> list[Path]:
    """The draft folders, those left out that are not born yet: a dot before the run id, `~` and the process id behind."""
    return [folder for folder in sorted(drafts.iterdir()) if not folder.name.startswith(".")] if drafts.is_dir() else []


def forget_newborn(drafts: Path) -> None:
    """Removes folders of processes that were killed before they had written the note of their draft."""
    for folder in drafts.glob(".*~*"):
        pid = folder.name.rpartition("~")[2]
        if pid.isdigit() and process.alive(int(pid), None) is False:
            shutil.rmtree(folder, ignore_errors=True)


def _put_checkpoints_aside(checkpoints: Path, resume: Path, *, keep: bool) -> None:
    if checkpoints.is_dir() and keep:
        shutil.rmtree(resume, ignore_errors=True)
        resume.parent.mkdir(parents=True, exist_ok=True)
        os.rename(checkpoints, resume)
    elif checkpoints.is_dir():
        shutil.rmtree(checkpoints)


def _write_new(path: Path, content: bytes) -> None:
    """Writes a file that must not exist yet, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            os.rename(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(place: Place, record: Record) -> bytes | None:
    try:
        with place.open(record.task, record.run_id, RECORD) as stream:
            return stream.read()
    except OSError:
        return None
