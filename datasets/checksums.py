"""Checksums of cached files, remembered by size and modification time so that no start hashes gigabytes again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from pathlib import Path

SIDE_FILE = ".verified.json"


def sha256(path: Path) -> str:
    """The sha256 of a file as 64 lower-case digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


class Ledger:
    """What is known of the files of one folder: path -> (size, mtime_ns, sha256), kept in a side file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._side_file = folder / SIDE_FILE

    def found(self, path: str) -> str | None:
        """The sha256 of a file, remembered or computed; None where there is no such file."""
        file = self.folder / path
        if not file.is_file():
            return None
        stamp = _stamp(file)
        known = self._read().get(path)
        if known and known[:2] == stamp:
            return known[2]
        return self._note(path, stamp, sha256(file))

    def recheck(self, path: str) -> str | None:
        """The sha256 of a file, computed whatever is remembered; None where there is no such file."""
        file = self.folder / path
        return self._note(path, _stamp(file), sha256(file)) if file.is_file() else None

    def remember(self, path: str, digest: str) -> None:
        """Notes a checksum that was computed a moment ago."""
        self._note(path, _stamp(self.folder / path), digest)

    def _note(self, path: str, stamp: list[int], digest: str) -> str:
        entries = self._read() | {path: [*stamp, digest]}
        # A cache that may only be read still serves; it is hashed at every start.
        with contextlib.suppress(OSError):
            part = self.folder / f"{SIDE_FILE}.{uuid.uuid4().hex}"
            part.write_text(json.dumps(entries, indent=1, sort_keys=True), encoding="utf-8")
            part.replace(self._side_file)
        return digest

    def _read(self) -> dict[str, list]:
        try:
            return json.loads(self._side_file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
