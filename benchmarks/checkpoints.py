"""The checkpoint that training goes on from: replaced in one step, and hashed, since torch reads a damaged one without a word."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.leaderboard.places import digest

LAST, NEXT, SUMS = "last.ckpt", "next.ckpt", "sha256"


def keep(folder: Path) -> None:
    """Puts `next.ckpt` in the place of `last.ckpt`; a process that is killed at any moment leaves one that `found` takes."""
    new = folder / NEXT
    # Both sums are allowed until the file has moved: which of the two lies there depends on when the process ends.
    _write(folder / SUMS, [_sum(new), *_allowed(folder)[:1]])
    os.replace(new, folder / LAST)


def found(folder: Path) -> tuple[Path | None, str | None]:
    """The checkpoint to go on from, None where there is none; and what was wrong with one that cannot be used."""
    last = folder / LAST
    if not last.is_file():
        return None, None
    if _sum(last) in _allowed(folder):
        return last, None
    return None, f"The checkpoint {last.name} was damaged, so that training began anew."


def _sum(path: Path) -> str:
    with path.open("rb") as stream:
        return digest(stream)


def _allowed(folder: Path) -> list[str]:
    try:
        return (folder / SUMS).read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []


def _write(path: Path, sums: list[str]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text("\n".join(sums) + "\n", encoding="ascii")
    os.replace(temporary, path)
