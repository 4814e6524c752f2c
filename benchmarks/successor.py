"""A record that takes an earlier one's place: records are never changed, and the latest of a key counts."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.leaderboard.record import Record, utc_now
from benchmarks.leaderboard.store import Store


def commit_successor(
    store: Store, record: Record, note: str, write: Callable[[Path], None] | None = None, **changes: Any
) -> Record:
    """Commits a copy of an `ok` run with some fields changed and a note of why; `write` puts new side files over the old.

    The time of its making is new, that of its end is the run's own, and so are its files, checkpoints apart.
    """
    now = utc_now(after=record.created_utc)
    new = msgspec.structs.replace(
        record,
        run_id=f"{record.run_id.rsplit('-', 1)[0]}-{uuid.uuid4().hex[:6]}",
        status="running",
        created_utc=now,
        notes=[*record.notes, note],
        files=[],
        **changes,
    )
    folder, draft = store.folder(record.run_id), store.begin(new)
    try:
        for file in record.files:
            target = draft.folder / file.name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (folder / file.name).is_file():
                shutil.copy2(folder / file.name, target)
        if write is not None:
            write(draft.folder)
        draft.commit(msgspec.structs.replace(new, status="ok"))
    except BaseException:
        draft.discard()
        raise
    return store.get(new.run_id)
