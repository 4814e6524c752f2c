"""Shared fixtures: every test has empty caches of its own; real files come from the mirror or from a package index."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

MIRROR = os.environ.get("BENCH_MIRROR")


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
