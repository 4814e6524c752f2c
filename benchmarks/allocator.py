"""Keeps the memory that tensors give back, so that a process need not ask the kernel for it again at every step.

glibc returns a freed block to the kernel where it is large or lies at the end of the heap, and each page of the next one is
then zeroed and mapped anew. The tensors of a training step come and go in the same sizes: in a DeepFM at batch 4096 these
page faults were a fifth of the step.
"""

from __future__ import annotations

import ctypes
import os
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of mallopt(3)."""
LARGEST = 2**28
"""Blocks below so many bytes come from the heap; what is larger is seldom, and goes back at once."""
SPARE = 2**31 - 1
"""So many free bytes at the end of the heap are kept: mallopt's largest number."""
CHOSEN = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed, for the rest of the process; whether it was told.

    Elsewhere (macOS, Windows, musl), and where the environment holds a choice of the user's own, nothing happens.
    """
    if sys.platform != "linux" or any(name in os.environ for name in CHOSEN):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(MMAP_THRESHOLD, LARGEST) and mallopt(TRIM_THRESHOLD, SPARE))
