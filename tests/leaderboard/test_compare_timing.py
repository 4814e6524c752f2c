"""Slower is what is beyond chance and large, on one machine; without enough runs there is a ratio and no verdict."""

from __future__ import annotations

import pytest

from benchmarks.leaderboard.compare import Comparison, compare, open_side
from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.timing import ALPHA, RANKS_FROM, timings
from benchmarks.leaderboard.store import Store


@pytest.fixture
def timed(tmp_path, commit):
    """Compares one row, run in turns on both sides, with the head `factor` times as slow and noise of `spread`."""

    def timed(
        factor: float, runs: int = RANKS_FROM, spread: float = 0.02, *, in_turns: bool = True, **head
    ) -> Comparison:
        stores = Store(tmp_path / "base"), Store(tmp_path / "head")
        for index in range(runs):
            wave = 1 + spread * ((index * 3) % runs - (runs - 1) / 2) / runs
            for side, store in zip(("base", "head"), stores, strict=True):
                hour = 2 * index + (side == "head") if in_turns else index + 30 * (side == "head")
                made = f"2026-01-{1 + hour // 24:02d}T{hour % 24:02d}:00:00Z"
                ms = wave * (factor * 1.003 if side == "head" else 1)
                own = head if side == "head" else {}
                commit(store, side=side, seed=0, repeat=0, training=0, ms=ms, created_utc=made, **own)
        return compare(open_side(str(tmp_path / "base"), []), open_side(str(tmp_path / "head"), []))

    return timed


def latency(comparison: Comparison) -> list[Finding]:
    return [found for found in comparison.findings if found.kind == "latency"]


@pytest.mark.parametrize("runs", [3, 5, RANKS_FROM, 10])
def test_fifteen_percent_slower_is_a_regression(timed, runs):
    comparison = timed(1.15, runs)
    (found,) = latency(comparison)
    assert found.level is Level.REGRESSION
    assert "x1.15" in found.text
    assert found.p < ALPHA
    assert comparison.exit_code == 1


def test_five_percent_slower_is_not_large_enough(timed):
    comparison = timed(1.05)
    (timing,) = timings(comparison.pairing.pairs[0])
    assert (timing.p < ALPHA, timing.verdict, comparison.exit_code) == (True, "tie", 0)


def test_fifteen_percent_within_the_noise_is_no_verdict(timed):
    comparison = timed(1.15, runs=4, spread=0.6)
    assert timings(comparison.pairing.pairs[0])[0].verdict == "tie"
    assert comparison.exit_code == 0


def test_faster_is_told(timed):
    (found,) = latency(timed(0.8))
    assert found.level is Level.BETTER


def test_two_runs_give_a_ratio_to_check(timed):
    comparison = timed(1.5, runs=2)
    (found,) = latency(comparison)
    assert (found.level, found.p, comparison.exit_code) == (Level.CHECK, None, 0)
    assert "3 runs a side are needed" in found.text


def test_machines_are_never_compared(timed):
    comparison = timed(1.5, host="another")
    assert latency(comparison) == []
    (found,) = [found for found in comparison.findings if found.level is Level.INCOMPARABLE]
    assert found.kind == "hardware"
    assert comparison.exit_code == 0


def test_sides_that_were_measured_one_after_the_other_are_said_so(timed):
    assert "one after the other" in latency(timed(1.15, in_turns=False))[0].text


def test_in_turns_nothing_is_said(timed):
    assert "one after the other" not in latency(timed(1.15))[0].text


@pytest.mark.parametrize(("factor", "code"), [(1.01, 0), (1.03, 1)])
def test_a_fiftieth_more_memory_is_a_regression(tmp_path, commit, factor, code):
    for side, peak in (("base", 10**8), ("head", round(factor * 10**8))):
        commit(Store(tmp_path / side), side=side, training=0, memory=peak)
    comparison = compare(open_side(str(tmp_path / "base"), []), open_side(str(tmp_path / "head"), []))
    assert comparison.exit_code == code
    assert [found.kind for found in comparison.findings] == ["peak memory"] * code
