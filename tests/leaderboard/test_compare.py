"""Planted differences get the right verdict and exit code; what did not change raises no alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.commands.compare import main
from benchmarks.leaderboard.compare import Comparison, compare, open_side
from benchmarks.leaderboard.compare.finding import Level
from benchmarks.leaderboard.store import Store

ROWS = {"none": 0.80, "svd": 0.79, "afm": 0.795, "int8": 0.798}
SEEDS = (0, 1, 2)


@pytest.fixture
def stores(tmp_path, monkeypatch) -> tuple[Store, Store]:
    monkeypatch.chdir(tmp_path)
    return Store("base"), Store("head")


@pytest.fixture
def fill(stores, commit):
    """Fills both stores with four rows of three seeds; `head` has changes of the head by method, None drops the row."""

    def fill(head: dict[str, dict | None] | None = None, **both) -> Comparison:
        changes = head or {}
        for method, value in ROWS.items():
            for seed in SEEDS:
                commit(stores[0], value, method=method, seed=seed, **both)
                own = changes.get(method, {})
                if own is not None:
                    settings = {"value": value, **both, **own}
                    settings["value"] += settings.pop("gain", 0)
                    commit(stores[1], method=method, seed=seed, side="head", **settings)
        return compare(open_side("base", []), open_side("head", []))

    return fill


def told(comparison: Comparison, level: Level) -> list[tuple[str, str]]:
    """Findings of a level as (method, kind)."""
    return [(f.row.split(": ")[-1].split(" ·")[0], f.kind) for f in comparison.findings if f.level is level]


def code(*options: str) -> int:
    return main(["base", "head", *options])


def test_identical_stores_are_fine(fill, capsys):
    comparison = fill()
    assert main(["base", "base"]) == 0
    assert capsys.readouterr().out.startswith("Fine: no regression.")
    # The second store has training noise of its own, which is no regression either.
    assert comparison.exit_code == code() == 0
    assert comparison.count(Level.REGRESSION) == comparison.count(Level.CHECK) == 0
    assert len(comparison.tests) == len(ROWS)


def test_a_worse_row_is_a_regression(fill, capsys):
    comparison = fill({"svd": {"gain": -0.002}})
    assert told(comparison, Level.REGRESSION) == [("svd", "quality")]
    (test,) = [test for test in comparison.tests if test.verdict == "worse"]
    assert test.change.p_holm < 0.05
    assert test.change.difference == pytest.approx(-0.002, abs=0.0003)
    assert code() == 1
    first, _, finding = capsys.readouterr().out.splitlines()[:3]
    assert first == "Regression: 1 finding."
    assert "svd" in finding
    assert "3 seeds" in finding


def test_a_difference_within_the_noise_is_none(fill):
    comparison = fill({"svd": {"gain": -0.0001}})
    assert comparison.exit_code == 0
    assert {test.verdict for test in comparison.tests} == {"tie"}


def test_less_can_be_better(fill):
    comparison = fill({"svd": {"gain": -0.002}, "afm": {"gain": 0.002}}, direction="min")
    assert told(comparison, Level.REGRESSION) == [("afm", "quality")]
    assert told(comparison, Level.BETTER) == [("svd", "quality")]


def test_a_metric_with_a_target_differs_and_is_for_the_reader_to_judge(fill):
    comparison = fill({"svd": {"gain": -0.002}}, direction="target")
    assert told(comparison, Level.CHECK) == [("svd", "quality")]
    assert (code(), code("--strict")) == (0, 1)


def test_a_worse_condition_is_a_regression_of_its_own_family(fill):
    comparison = fill({"svd": {"gain": -0.002}}, condition="night")
    assert told(comparison, Level.REGRESSION) == [("svd", "quality"), ("svd", "other metrics")]
    assert len(comparison.tests) == 2 * len(ROWS)


def test_a_vanished_row_is_a_regression_unless_parts_are_allowed(fill):
    comparison = fill({"int8": None})
    assert told(comparison, Level.REGRESSION) == [("int8", "vanished")]
    assert (code(), code("--allow-missing")) == (1, 0)


def test_a_new_row_is_a_note(fill, stores, commit):
    fill()
    commit(stores[1], method="tt", side="head")
    comparison = compare(open_side("base", []), open_side("head", []))
    assert told(comparison, Level.NOTE) == [("tt", "new")]
    assert comparison.exit_code == 0


def test_a_row_that_fails_is_a_regression_that_names_the_phase(fill, capsys):
    comparison = fill({"afm": {"status": "oom"}})
    assert told(comparison, Level.REGRESSION) == [("afm", "failed")]
    assert code() == 1
    assert "oom in phase fit (MemoryError: no memory)" in capsys.readouterr().out


def test_the_latest_ending_counts_unless_somebody_stopped_it(fill, stores, commit):
    fill()
    later = {"method": "svd", "seed": 0, "side": "head", "created_utc": "2026-02-01T00:00:00Z"}
    commit(stores[1], status="interrupted", **later)
    assert code() == 0
    commit(stores[1], status="failed", **later)
    assert code() == 1


def test_a_missing_seed_is_to_be_checked(fill, stores, commit):
    fill()
    commit(stores[0], method="svd", seed=7)
    comparison = compare(open_side("base", []), open_side("head", []))
    assert told(comparison, Level.CHECK) == [("svd", "seeds")]


@pytest.mark.parametrize("more", [1001, 1400])
def test_any_more_parameters_are_a_regression(fill, more):
    comparison = fill({"svd": {"params": more}})
    kinds = {kind for _, kind in told(comparison, Level.REGRESSION)}
    assert kinds == {"params_total", "params_stored", "bytes_stored"}
    assert code() == 1


def test_fewer_parameters_are_told(fill):
    comparison = fill({"svd": {"params": 999, "flops": 4999}})
    assert {kind for _, kind in told(comparison, Level.BETTER)} == {
        "params_total", "params_stored", "bytes_stored", "flops",
    }  # fmt: skip
    assert comparison.exit_code == 0


def test_a_count_that_is_no_longer_taken_is_to_be_checked(fill):
    assert told(fill({"svd": {"flops": None}}), Level.CHECK) == [("svd", "flops")]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"task_version": 2}, "task version 1 -> 2"),
        ({"data_fingerprint": "e" * 64, "config_hash": "other"}, "data ffffffffffff -> eeeeeeeeeeee"),
        ({"method_version": 2, "config_hash": "other"}, "method version 1 -> 2"),
        ({"method_version": 2}, "method version 1 -> 2"),
        ({"config_hash": "other"}, "configuration svd -> other"),
        ({"version": 2}, "auc version 1 -> 2"),
    ],
    ids=str,
)
def test_another_version_is_not_comparable_and_named(fill, changed, said):
    comparison = fill({"svd": {"gain": -0.1, **changed}})
    (found,) = [f for f in comparison.findings if f.level is Level.INCOMPARABLE]
    assert said in found.text
    assert comparison.count(Level.REGRESSION) == 0
    assert comparison.exit_code == 0


def test_a_version_that_the_base_replaced_itself_has_not_vanished(fill, stores, commit):
    fill()
    commit(stores[0], method="svd", task_version=0, created_utc="2025-01-01T00:00:00Z")
    assert code() == 0


def test_an_undefined_value_is_a_regression(fill, stores, commit):
    comparison = fill({"svd": {"metric": "other"}})
    assert ("svd", "undefined") in told(comparison, Level.REGRESSION)


@pytest.mark.parametrize("head", ["empty", "foreign"])
def test_nothing_comparable_exits_with_2(fill, stores, commit, head, capsys):
    fill()
    if head == "foreign":
        commit(Store("foreign"), task="other")
    else:
        Path("empty").mkdir()
    assert main(["base", head]) == 2
    assert capsys.readouterr().out.startswith("Nothing comparable")


def test_a_leap_is_flagged_and_fails_only_when_strict(fill, capsys):
    comparison = fill({"svd": {"gain": 0.05}})
    assert told(comparison, Level.CHECK) == [("svd", "too good")]
    assert told(comparison, Level.BETTER) == []
    assert (code(), code("--strict")) == (0, 1)
    assert "Look for a leak" in capsys.readouterr().out


def test_an_improvement_is_no_leap(fill):
    comparison = fill({"svd": {"gain": 0.002}})
    assert told(comparison, Level.BETTER) == [("svd", "quality")]
    assert comparison.count(Level.CHECK) == 0


def test_an_almost_perfect_row_is_flagged_with_a_single_seed_and_its_leak_named(stores, commit):
    answers = np.linspace(0, 1, 20, dtype="f4")
    for store, value, side in zip(stores, (0.8, 0.9995), ("base", "head"), strict=True):
        commit(store, value, side=side, answers=answers, targets=answers)
    (found,) = [f for f in compare(open_side("base", []), open_side("head", [])).findings if f.kind == "too good"]
    assert "fell to a tenth" in found.text
    assert "its predictions are the targets" in found.text


def test_two_rows_that_became_one_are_flagged(stores, commit):
    for store, side in zip(stores, ("base", "head"), strict=True):
        for method in ("none", "svd"):
            differs = side == "base" and method == "svd"
            commit(store, method=method, side=side, answers=np.full(9, 0.25 if differs else 0.5))
    comparison = compare(open_side("base", []), open_side("head", []))
    assert told(comparison, Level.CHECK) == [("none", "identical predictions")]


def history(commit, store: Store, values: list[float]) -> None:
    for index, value in enumerate(values):
        made = f"2025-12-{index + 1:02d}T00:00:00Z"
        commit(store, value, training=0, created_utc=made, config_hash="none")


@pytest.mark.parametrize(
    ("now", "level"), [(0.7985, Level.CHECK), (0.8001, None), (0.802, Level.NOTE)], ids=["low", "usual", "high"]
)
def test_a_row_outside_of_its_usual_range_is_told(stores, commit, now, level):
    history(commit, stores[0], [0.8000, 0.8001, 0.8002, 0.7999, 0.8001])
    commit(stores[0], 0.8000, training=0)
    commit(stores[1], now, training=0, side="head")
    found = [f for f in compare(open_side("base", []), open_side("head", [])).findings if f.kind == "trend"]
    assert [f.level for f in found] == ([level] if level is not None else [])
    if found:
        assert "from 6 earlier runs" in found[0].text


def test_a_short_history_has_no_trend(stores, commit):
    history(commit, stores[0], [0.8000, 0.8001, 0.8002, 0.7999])
    commit(stores[1], 0.7, training=0, side="head")
    assert "trend" not in {f.kind for f in compare(open_side("base", []), open_side("head", [])).findings}


def test_a_value_beyond_the_bounds_of_its_metric_is_an_error_however_good_it_looks(fill):
    comparison = fill({"svd": {"gain": 0.3}}, bounds=(0.0, 1.0), perfect=1.0)
    assert ("svd", "impossible") in told(comparison, Level.REGRESSION)
    assert comparison.exit_code == 1
    (found,) = [each for each in comparison.findings if each.kind == "impossible"]
    assert "above 1, which its definition rules out (seed 0)" in found.text


def test_rounding_at_a_bound_is_no_error(fill):
    comparison = fill(bounds=(0.0, 0.8), replicates=False, training=1e-9)
    assert all(found.kind != "impossible" for found in comparison.findings)


def test_an_error_is_the_distance_to_what_the_metric_calls_perfect(fill):
    # 0.3 above a perfect value of 0.5 becomes 0.02 above it: a tenth, though neither is near to 0 or 1.
    comparison = fill({"none": {"gain": -0.28}}, direction="target", bounds=(0.0, None), perfect=0.5)
    assert told(comparison, Level.CHECK) == [("none", "too good")]
    assert "error fell to a tenth" in next(found.text for found in comparison.findings if found.kind == "too good")


def test_a_metric_with_a_known_target_becomes_better_and_worse(fill):
    changes = {"svd": {"gain": 0.002}, "afm": {"gain": -0.002}}
    comparison = fill(changes, direction="target", bounds=(0.0, None), perfect=0.5)
    assert told(comparison, Level.REGRESSION) == [("svd", "quality")]
    assert told(comparison, Level.BETTER) == [("afm", "quality")]
