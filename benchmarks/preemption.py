"""A scheduler that takes a machine back says so with SIGTERM: the run ends as on Ctrl+C, with a record and its checkpoint."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

MESSAGE = "SIGTERM: the machine was taken back"
_within = False


@contextmanager
def preemptible() -> Iterator[Callable[[], None]]:
    """Within it the first SIGTERM raises KeyboardInterrupt, until the function that it gives is called.

    From then on, and after the first, a signal waits for the end: a record that is being written is written. Of runs
    within runs (a base) the outermost listens. Outside of the main thread, where no signal arrives, it does nothing.
    """
    global _within
    if _within or threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    told, writing = False, False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal told
        first, told = not told, True
        if first and not writing:
            raise KeyboardInterrupt(MESSAGE)

    def write() -> None:
        nonlocal writing
        writing = True

    before = signal.signal(signal.SIGTERM, stop)
    _within = True
    try:
        yield write
    finally:
        _within = False
        signal.signal(signal.SIGTERM, before)
    if told:
        raise KeyboardInterrupt(MESSAGE)
