"""Shared fixtures: every test has empty caches of its own; real files come from the mirror or from a package index.

The default tests run in several processes, a file in one of them (`--dist loadfile`). What measures seconds or bytes, kills
processes or opens a browser runs in one: the slow tests and the benchmarks.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest

MIRROR = os.environ.get("BENCH_MIRROR")

if "PYTEST_XDIST_WORKER" in os.environ:
    # Before anything imports NumPy or torch: processes that share the cores would wait for each other's threads.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """How many processes `-n auto` is: none beside this one for a single file, and for what must have the machine alone."""
    files = {argument.partition("::")[0] for argument in config.args}
    single = len(files) == 1 and files.pop().endswith(".py")
    alone = config.option.markexpr != "not slow" or config.getoption("benchmark_only")
    return 0 if single or alone else None


def pytest_collection_finish() -> None:
    """What was imported stays: without this, collecting garbage would walk over all of torch again and again."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    gc.unfreeze()  # packages that look for leaks at the end would find all that is frozen


@pytest.fixture
def data_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty data cache without a mirror, online."""
    cache = tmp_path / "data"
    monkeypatch.setenv("BENCH_DATA", str(cache))
    monkeypatch.delenv("BENCH_MIRROR", raising=False)
    monkeypatch.delenv("BENCH_OFFLINE", raising=False)
    return cache


@pytest.fixture
def mirror(data_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror of real files that BENCH_MIRROR named when the tests began, in front of an empty cache."""
    if not MIRROR or not Path(MIRROR).is_dir():
        pytest.skip("BENCH_MIRROR names no folder, and this test needs files that may not be redistributed")
    monkeypatch.setenv("BENCH_MIRROR", str(Path(MIRROR).resolve()))
    return Path(MIRROR).resolve()
