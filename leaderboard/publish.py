"""Copies runs worth showing into the repository: figures and our predictions, nothing that belongs to somebody else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.operating import OPERATING
from benchmarks.leaderboard.places import RECORD, digest, storing
from benchmarks.leaderboard.record import Record, decode, encode
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.worst import WORST, decode_worst

PUBLISHED = Path(__file__).parent / "published"
PREDICTIONS = "predictions.npz"
KEPT = (PREDICTIONS, "replicates.npz", OPERATING)
"""Not targets, units and vocabularies, which are the data's; nor weights, checkpoints and logs, large or local."""

LARGEST = 500_000
"""Bytes of a file that is published. Forecasts of every pedestrian are tens of megabytes; replicates serve comparisons."""

PATH = r"(?:~|[A-Za-z]:)?[\\/](?![\\/])"
"""How an absolute path begins; a URL's two slashes do not."""


def publish(
    store: Store, run_id: str, to: Path = PUBLISHED, *, allow_dirty: bool = False, predictions: bool = True
) -> Path:
    """Publishes one run and returns its new folder `to/<task>/<run_id>`; a run that is published stays as it is.

    Its worst units are published where they are samples, whose ids are published anyway: users are the data's.
    Without `predictions` a run takes a fifth of the room, is compared as any other, and cannot be scored again.
    Raises BenchmarkError for a run that did not end well, or that uncommitted code made (unless `allow_dirty`).
    """
    source = store.folder(run_id)
    if not (source / RECORD).is_file():
        raise BenchmarkError(f"{source} has no {RECORD}, so it holds no run. `verify` lists what a store lacks.")
    record = decode((source / RECORD).read_bytes(), str(source / RECORD))
    if record.status != "ok":
        raise BenchmarkError(f"Run {record.run_id} ended as '{record.status}'; only runs with status ok are published.")
    if record.provenance.git_dirty and not allow_dirty:
        raise BenchmarkError(
            f"Run {record.run_id} was made with uncommitted changes, so nobody could repeat it. Commit and run again, "
            "or publish it all the same with --allow-dirty."
        )
    target = to / record.task / record.run_id
    if target.exists():
        raise BenchmarkError(f"{target} exists: a published run is never replaced. Remove that folder to publish anew.")
    kept = [name for name in KEPT if predictions or name != PREDICTIONS]
    if (source / WORST).is_file() and decode_worst((source / WORST).read_bytes(), str(source / WORST)).single:
        kept.append(WORST)
    files = [file for file in record.files if file.name in kept and file.bytes <= LARGEST]
    for file in files:
        _check_content(source / file.name, file.sha256)
    with storing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{record.run_id}")
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        try:
            for file in files:
                shutil.copyfile(source / file.name, temporary / file.name)
            (temporary / RECORD).write_bytes(encode(without_paths(msgspec.structs.replace(record, files=files))))
            temporary.rename(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return target


def _check_content(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise BenchmarkError(f"{path} is missing, which the record lists; see verify.")
    with path.open("rb") as stream:
        if digest(stream) != sha256:
            raise BenchmarkError(f"{path} is not the file that the record hashed; see verify.")


def without_paths(record: Record) -> Record:
    """The record with every absolute path in what the user typed or configured shortened to its last part."""
    return msgspec.structs.replace(
        record,
        config=_shorten(record.config),
        overrides=_shorten(record.overrides),
        notes=_shorten(record.notes),
    )


def _shorten(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shorten(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shorten(item) for item in value]
    if not isinstance(value, str):
        return value
    if re.match(PATH, value):
        return _last_part(value)
    return re.sub(rf"(?<=[=\s,:'\"(\[]){PATH}[^\s,'\")\]]+", lambda match: _last_part(match[0]), value)


def _last_part(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
