"""One accelerator a process: the jobs of a sweep share out the machine's devices without asking torch.

The sweep offers the devices that it may use; every process takes the least used one before torch looks for any, and holds it
by a file lock as long as it lives. A worker that makes several runs keeps its device, since CUDA looks once.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

VISIBLE = "CUDA_VISIBLE_DEVICES"
OFFERED, LOCKS = "BENCH_DEVICES", "BENCH_DEVICE_LOCKS"
_HELD: list[Any] = []


def devices() -> list[str]:
    """Ids of the accelerators that this process may use, as the environment or the driver names them."""
    if VISIBLE in os.environ:
        return [each.strip() for each in os.environ[VISIBLE].split(",") if each.strip() not in ("", "-1")]
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(number) for number in range(sum(line.startswith("GPU ") for line in listed.splitlines()))]


def offer(ids: Sequence[str], folder: Path) -> dict[str, str]:
    """What the environment of jobs must hold so that each of them takes one of these devices."""
    if not ids:
        return {}
    folder.mkdir(parents=True, exist_ok=True)
    return {OFFERED: ",".join(ids), LOCKS: str(folder)}


def take() -> str | None:
    """Takes a device for this process, the same one at every call; None where none is offered.

    The first process of a device holds its place 0, the next one place 1, so that all devices get one before any has two.
    """
    if OFFERED not in os.environ:
        return None
    if _HELD:
        return os.environ[VISIBLE]
    import filelock

    ids = os.environ[OFFERED].split(",")
    for place in count():
        for index, device in enumerate(ids):
            lock = filelock.FileLock(Path(os.environ[LOCKS]) / f"device-{index}-{place}.lock")
            try:
                lock.acquire(timeout=0)
            except filelock.Timeout:
                continue
            _HELD.append(lock)
            os.environ[VISIBLE] = device
            return device
    raise AssertionError("unreachable")
