"""Checksums of cached files, remembered by size and modification time so that no start hashes gigabytes again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

SIDE_FILE = ".verified.json"
SHA256 = "sha256"


def digest(path: Path, algorithm: str = SHA256) -> str:
    """The sha256 (or md5) of a file as lower-case hexadecimal digits."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, algorithm).hexdigest()


class Ledger:
    """What is known of the files of one folder: path -> (size, mtime_ns, digest by algorithm), kept in a side file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._side_file = folder / SIDE_FILE

    def found(self, path: str, algorithm: str = SHA256) -> str | None:
        """The digest of a file, remembered or computed; None where there is no such file."""
        file = self.folder / path
        if not file.is_file():
            return None
        return self._known(path).get(algorithm) or self.recheck(path, algorithm)

    def recheck(self, path: str, algorithm: str = SHA256) -> str | None:
        """The digest of a file, computed whatever is remembered; None where there is no such file."""
        file = self.folder / path
        if not file.is_file():
            return None
        stamp, found = _stamp(file), digest(file, algorithm)
        self._note({path: (stamp, algorithm, found)})
        return found

    def remember(self, found: Mapping[str, tuple[str, str]]) -> None:
        """Notes digests that were computed a moment ago, by path with the algorithm behind each: all in one writing."""
        self._note(
            {path: (_stamp(self.folder / path), algorithm, digest) for path, (digest, algorithm) in found.items()}
        )

    def _known(self, path: str) -> dict[str, str]:
        """What was computed of the file as it is now."""
        entry = self._read().get(path)
        # Earlier versions kept a sha256 alone.
        known = {SHA256: entry[2]} if entry and isinstance(entry[2], str) else entry[2] if entry else {}
        return known if entry and entry[:2] == _stamp(self.folder / path) else {}

    def _note(self, found: Mapping[str, tuple[list[int], str, str]]) -> None:
        if not found:
            return
        noted = {
            path: [*stamp, self._known(path) | {algorithm: digest}]
            for path, (stamp, algorithm, digest) in found.items()
        }
        entries = self._read() | noted
        # A cache that may only be read still serves; it is hashed at every start.
        with contextlib.suppress(OSError):
            part = self.folder / f"{SIDE_FILE}.{uuid.uuid4().hex}"
            part.write_text(json.dumps(entries, indent=1, sort_keys=True), encoding="utf-8")
            part.replace(self._side_file)

    def _read(self) -> dict[str, list]:
        try:
            return _parsed(self._side_file, *_stamp(self._side_file))
        except (OSError, ValueError):
            return {}


@lru_cache(maxsize=8)
def _parsed(side_file: Path, size: int, mtime_ns: int) -> dict[str, list]:
    """What a side file says; parsed once as long as it stays as it is, since it is asked about every file of a data set."""
    return json.loads(side_file.read_text(encoding="utf-8"))


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]
