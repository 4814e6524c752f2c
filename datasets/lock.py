"""The lock under which one process builds what others then read from the data cache."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from benchmarks.errors import BenchmarkError

log = logging.getLogger(__name__)


@contextlib.contextmanager
def locked(place: Path, what: str) -> Iterator[None]:
    """Held by one process for a file or folder of the cache; the others wait, and say that they wait for `what`.

    Raises BenchmarkError where the cache cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(place.with_suffix(".lock"))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=1)
        except Timeout:
            log.warning("waiting for another process that builds %s %s", what, place)
            lock.acquire()
    except OSError as error:
        raise BenchmarkError(
            f"The data cache {place.parent} cannot be written ({error}). Set BENCH_DATA to a folder of yours."
        ) from error
    try:
        yield
    finally:
        lock.release()
