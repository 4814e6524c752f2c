"""A process of its own that loads a saved solver, answers one batch, and prints how far its memory rose."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path

import numpy as np

from benchmarks.solver import NetworkSolver


def main(folder: str, probe: str) -> None:
    """Prints {"bytes", "device"} as JSON; the task, with its settings, comes pickled from the parent."""
    task = pickle.load(sys.stdin.buffer)
    with np.load(probe, allow_pickle=False) as arrays:
        batch = dict(arrays)
    before = high_water_mark()
    NetworkSolver.load(task, Path(folder)).predict(batch)
    print(json.dumps({"bytes": high_water_mark() - before, "device": "cpu"}))


def high_water_mark() -> int:
    """The most memory that this process ever held, in bytes.

    Linux hands `ru_maxrss` on to a child, so that a child of a large process seems to be as large from the start; the mark
    in /proc begins anew with each program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        return 1024 * int(
            next(line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        )
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
