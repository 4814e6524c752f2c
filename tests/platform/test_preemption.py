"""The first SIGTERM ends what is computed; what is being written is written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from benchmarks.leaderboard.record import utc_now
from benchmarks.preemption import MESSAGE, preemptible


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def interrupted(work: Callable[[Callable[[], None]], None]) -> None:
    """Does some work within `preemptible`, which must end in KeyboardInterrupt."""
    with pytest.raises(KeyboardInterrupt, match=MESSAGE):  # noqa: SIM117 - one statement
        with preemptible() as write:
            work(write)


def test_a_signal_raises_once_and_the_handler_of_before_comes_back():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work(write: Callable[[], None]) -> None:
        try:
            terminate()
        except KeyboardInterrupt:
            terminate()  # while the record is written
            seen.append("written")
            raise

    interrupted(work)
    assert seen == ["written"]
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_signal_while_the_record_is_written_waits_for_the_end():
    seen = []

    def work(write: Callable[[], None]) -> None:
        write()
        terminate()
        seen.append("written")

    interrupted(work)
    assert seen == ["written"]


def test_of_runs_within_runs_the_outermost_listens():
    def work(_: Callable[[], None]) -> None:
        handler = signal.getsignal(signal.SIGTERM)
        with preemptible() as write:
            write()
        assert signal.getsignal(signal.SIGTERM) == handler
        terminate()

    interrupted(work)


def test_a_record_that_takes_the_place_of_another_is_the_later_one_whatever_the_clock_says():
    assert utc_now(after="2999-01-01T00:00:00.000001Z") == "2999-01-01T00:00:00.000002Z"
    assert utc_now(after="2999-01-01T00:00:00Z") > "2999-01-01T00:00:00.0"
    assert utc_now(after="2000-01-01T00:00:00Z") < "2999"
