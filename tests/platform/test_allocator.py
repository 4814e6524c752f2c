from __future__ import annotations

import sys

import pytest
import torch

from benchmarks.allocator import CHOSEN, keep_freed_memory


@pytest.fixture(autouse=True)
def _no_choice_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in CHOSEN:
        monkeypatch.delenv(name, raising=False)


def test_tensors_of_one_size_are_made_of_the_same_pages() -> None:
    if not keep_freed_memory():
        pytest.skip("the C library of this platform has no mallopt")
    import resource

    def page_faults() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    megabytes = 16
    torch.ones(megabytes * 2**18)
    before = page_faults()
    for _ in range(10):
        torch.ones(megabytes * 2**18)
    # Mapped anew each time they would be 4,096 pages a tensor.
    assert page_faults() - before < 3 * 4096


def test_a_choice_of_the_user_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "131072")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
