"""The further processes of a run on several devices: each repeats the whole command to train along, and leaves nothing.

Lightning starts them so, with their rank in the environment. They make the same runs in the same order as the leader, which
alone holds locks, writes records and speaks.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.leaderboard.draft import CHECKPOINTS, DraftNote, list_drafts
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store


def leads() -> bool:
    """Whether this process is the leader of its run, or the only one."""
    ranks = ("RANK",) if "RANK" in os.environ else ("LOCAL_RANK", "NODE_RANK")
    return all(os.environ.get(rank, "0") == "0" for rank in ranks)


def _key_of(draft: Path) -> str | None:
    """The key of a run in the making; None where it has ended meanwhile."""
    try:
        return DraftNote.read(draft).key
    except FileNotFoundError:
        return None


class FollowerStore(Store):
    """The leader's store to read and a folder to write that is thrown away with the process."""

    def __init__(self, root: str) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="lowrank-benchmarks-")
        super().__init__(self._scratch.name)
        self._leader = Store(root)

    def find(self, key: str) -> Record | None:
        return super().find(key) or self._leader.find(key)

    def folder(self, run_id: str) -> Path:
        own = {name for _, name in self.place.runs()}
        return super().folder(run_id) if run_id in own else self._leader.folder(run_id)

    def recover(self) -> list[Record]:
        return []

    @contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """Nothing to wait for: the leader holds the lock for all."""
        yield

    def resume_folder(self, key: str) -> Path | None:
        """A copy of the checkpoints that the leader goes on from."""
        held = [draft / CHECKPOINTS for draft in list_drafts(self._leader.drafts) if _key_of(draft) == key]
        source = next(
            (folder for folder in [*held, self._leader.resume_folder(key)] if folder and folder.is_dir()), None
        )
        if source is None:
            return None
        return Path(shutil.copytree(source, Path(self._scratch.name) / ".resume" / key, dirs_exist_ok=True))
