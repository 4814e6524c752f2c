"""What a smoke run costs beyond imports: every task with every method that fits it, in one process, one thread.

The first run of a pair may import libraries and train the base that others share; a pair that is slow at first is run again
with all of that done, and its second time counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import torch

from benchmarks.__main__ import main
from pairs import PAIRS

LIMIT = 3.0
"""Seconds of a pair."""
FIFTY = 300.0
"""Seconds of any fifty pairs, imports and bases included."""


@pytest.fixture(scope="module", autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def seconds() -> dict[tuple[str, str], float]:
    """How long the first run of every pair took."""
    return {}


def timed(task: str, method: str, store: str, *words: str) -> float:
    pair = [f"task={task}", f"method={method}", "scale=smoke", f"store={store}", *words]
    start = time.perf_counter()
    assert main([*pair, "companions=false", "report=false", "trainer.threads=1", "trainer.progress=false"]) == 0
    return time.perf_counter() - start


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_a_smoke_pair_costs_less_than_three_seconds(task, method, store, seconds, benchmark) -> None:
    first = seconds[task, method] = timed(task, method, store)
    least = first if first < LIMIT else timed(task, method, store, "if_exists=rerun")
    benchmark.extra_info |= {"first": first, "seconds": least}
    benchmark.pedantic(lambda: None)
    assert least < LIMIT


def test_fifty_pairs_take_less_than_five_minutes(seconds, benchmark) -> None:
    if len(seconds) < len(PAIRS):
        pytest.skip("not all pairs were run")
    benchmark.pedantic(lambda: None)
    slowest = sorted(seconds.values(), reverse=True)[:50]
    print(f"{len(seconds)} pairs in {sum(seconds.values()):.0f} s, the slowest fifty in {sum(slowest):.0f} s")
    assert sum(slowest) < FIFTY
