"""Slower is what is beyond chance and large, on one machine; without enough runs there is a ratio and no verdict."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy import stats

from benchmarks.leaderboard.compare import Comparison, compare, open_side
from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.timing import ALPHA, RANKS_FROM, timings
from benchmarks.leaderboard.compare.turns import RANKS_FROM as RANKS_OF_PAIRS
from benchmarks.leaderboard.compare.turns import paired_p, paired_ratio, pairs_in_turns
from benchmarks.leaderboard.record import Block, Latency, encode
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


def blocks(*pairs: tuple[float, float], session: str | None = "s") -> Latency:
    return Latency(
        batch=256, median=pairs[0][1], p10=1, p90=1, repeats=9, threads=1, device="cpu", dtype="float32", session=session,
        blocks=[Block(at, median) for at, median in pairs],
    )  # fmt: skip


def test_blocks_of_one_session_are_paired_in_their_order():
    before, after = blocks((1, 10.0), (4, 20.0)), blocks((2, 11.0), (3, 21.0))
    assert pairs_in_turns([before], [after]) == [(10.0, 11.0), (20.0, 21.0)]
    assert paired_ratio([(10.0, 11.0), (20.0, 22.0), (5.0, 9.0)]) == pytest.approx(1.1)


@pytest.mark.parametrize(
    "after",
    [
        blocks((2, 11.0), (3, 21.0), session="other"),
        blocks((2, 11.0), (3, 21.0), session=None),
        blocks((5, 11.0), (6, 21.0)),  # one side after the other
        blocks((1, 10.0), (4, 20.0)),  # the same run
        msgspec.structs.replace(blocks((2, 11.0)), blocks=[]),
    ],
)
def test_blocks_that_did_not_take_turns_are_not_paired(after):
    assert pairs_in_turns([blocks((1, 10.0), (4, 20.0))], [after]) == []


def test_pairs_have_wilcoxons_p_and_few_pairs_students():
    random = np.random.default_rng(0)
    for count in (RANKS_OF_PAIRS - 1, RANKS_OF_PAIRS, 25):
        pairs = [(1.0, float(ratio)) for ratio in np.exp(random.normal(0.02, 0.05, count))]
        logs = np.log([after for _, after in pairs])
        oracle = stats.wilcoxon(logs) if count >= RANKS_OF_PAIRS else stats.ttest_1samp(logs, 0)
        assert paired_p(pairs) == pytest.approx(oracle.pvalue)
    assert paired_p([(1.0, 1.2), (1.0, 1.3)]) is None
    assert paired_p([(2.0, 2.0)] * 5) == 1.0
    assert paired_p([(1.0, 1.2 + 0.001 * index) for index in range(RANKS_OF_PAIRS)]) < ALPHA


def test_a_test_over_pairs_keeps_its_level_on_a_machine_that_wavers():
    random = np.random.default_rng(1)
    alarms = 0
    for _ in range(2000):
        machine = np.exp(np.cumsum(random.normal(0, 0.1, 11)))
        sides = machine[:, None] * np.exp(random.normal(0, 0.03, (11, 2)))
        alarms += paired_p([(float(a), float(b)) for a, b in sides]) < 0.05
    assert 0.03 < alarms / 2000 < 0.07


def test_one_run_a_side_whose_blocks_overlap_is_nothing_to_check_and_apart_is(tmp_path, commit):
    def found(after: float) -> list[Finding]:
        folder = tmp_path / str(after)
        for side, wave in (("base", (1.0, 1.6, 1.2)), ("head", (after, after + 0.2))):
            timed = blocks(*((index, value) for index, value in enumerate(wave)), session=side)
            record = commit(Store(folder / side), side=side, training=0, ms=None)
            path = folder / side / "ctr" / record.run_id / "record.json"
            timed = msgspec.structs.replace(timed, median=float(np.median(wave)))
            cost = msgspec.structs.replace(record.cost, latency_ms=[timed])
            path.write_bytes(encode(msgspec.structs.replace(record, cost=cost)))
        return latency(compare(open_side(str(folder / "base"), []), open_side(str(folder / "head"), [])))

    assert found(1.5) == []
    (told,) = found(1.8)
    assert told.level is Level.CHECK
    assert "blocks 1.00 to 1.60 and 1.80 to 2.00 ms" in told.text
    assert "retime" in told.text
