"""Is the process that began a draft still at work? By process id and start time here, by heartbeat elsewhere."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def host() -> str:
    """The name of this machine."""
    return socket.gethostname()


def start_time(pid: int) -> str | None:
    """Boot id and start tick of a process, which tell it from a later one with its id; None where unknown or ended."""
    try:
        # The command name stands in brackets and may hold spaces; the state follows it, and 19 fields on the start.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, IndexError):
        return None
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def alive(pid: int, started: str | None) -> bool | None:
    """Whether the process that was started then still runs on this machine; None where this system cannot tell."""
    if Path("/proc/self/stat").exists():
        now = start_time(pid)
        return now is not None and (started is None or now == started)
    if os.name != "posix":  # where signal 0 would interrupt the process
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
