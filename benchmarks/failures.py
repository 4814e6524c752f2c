"""What a failure is called, what it leaves in a record, and what its user may do about it."""

from __future__ import annotations

import errno
import re
import traceback
from typing import Literal

import msgspec
import torch

from benchmarks.leaderboard.record import Failure, Record
from benchmarks.provenance import provenance

STOPS = ("KeyboardInterrupt", "SystemExit")
"""Exceptions by which somebody ends a run on purpose."""
FULL = (errno.ENOSPC, errno.EDQUOT)
ADVICE = {
    "interrupted": "Type the same command again: training goes on from the last checkpoint, where one was written.",
    "oom": "Halve trainer.batch_size and set trainer.accumulate=2, or choose a smaller model.",
}


def failed(record: Record, phase: str, error: BaseException) -> Record:
    """The record of a run that `error` ended in `phase`; to be called where it is handled, for its traceback."""
    status = status_of(error)
    failure = Failure(
        phase=phase,
        exception=type(error).__name__,
        message=str(error),
        advice=ADVICE.get(status),
        traceback=traceback.format_exc().splitlines()[-40:],
    )
    return msgspec.structs.replace(record, status=status, failure=failure, provenance=provenance())


def status_of(error: BaseException) -> Literal["interrupted", "oom", "failed"]:
    """How a run ended."""
    # A full disk is nobody's fault either: the run goes on where it was, once there is room.
    if isinstance(error, KeyboardInterrupt | SystemExit) or getattr(error, "errno", None) in FULL:
        return "interrupted"
    # torch has no error class of its own for a CPU or an Apple GPU that is out of memory.
    out_of_memory = re.search(r"out of memory|can't allocate memory|not enough memory", str(error))
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or (isinstance(error, RuntimeError) and out_of_memory):
        return "oom"
    return "failed"


def explain(record: Record) -> str:
    """One line of what ended a run, where, and what to do."""
    failure = record.failure
    assert failure is not None
    what = f": {failure.message.rstrip('.')}" if failure.message else ""
    advice = f" {failure.advice}" if failure.advice else ""
    return f"Run {record.run_id} {record.status} in phase '{failure.phase}': {failure.exception}{what}.{advice}"
