"""Rows are taken over seeds without gaps, compared with their base only, and never mixed between cells."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np
import pytest

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.record import Cost, Failure, Latency, Provenance, Quality, Record
from benchmarks.leaderboard.report.facts import Facts, TaskFacts
from benchmarks.leaderboard.report.plots import Point, interval_bar, pareto_plot
from benchmarks.leaderboard.report.sections import Section, build_sections, collect
from benchmarks.leaderboard.report.svg import padded
from benchmarks.leaderboard.report.tables import table
from benchmarks.leaderboard.store import Store

UNITS = np.random.default_rng(0).normal(0, 0.002, 400)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path)


def commit(
    store: Store,
    value: float | None,
    *,
    method: str = "none",
    seed: int = 0,
    rank: int | None = None,
    status: str = "ok",
    replicates: bool = True,
    version: int = 1,
    direction: str = "max",
    latency: float | None = 1.0,
    host: str = "h",
    **changes,
) -> Record:
    run_id = f"run-{sum(1 for _ in store.place.runs())}"
    config = {"method": {"name": method, "summary": "text"} | ({"rank": rank} if rank else {})}
    fields = {
        "run_id": run_id, "status": "running", "created_utc": "2026-01-01T00:00:00+00:00", "task": "ctr",
        "task_version": 1, "dataset": "toy", "data_fingerprint": "f", "method": method, "model": "net",
        "scale": "small", "seed": seed, "config": config, "config_hash": f"{method}{rank}",
        "key": f"{method}{rank}-{seed}", "provenance": Provenance(host_hash=host, cpu_model="chip"),
    }  # fmt: skip
    started = Record(**(fields | changes))
    draft = store.begin(started)
    if status != "ok":
        failure = Failure(phase="fit", exception="E", message="m")
        draft.commit(msgspec.structs.replace(started, status=status, failure=failure))
        return store.get(run_id)
    if replicates and value is not None:
        noise = np.random.default_rng(zlib.crc32(f"{method}{rank}".encode())).normal(0, 0.0002, 400)
        np.savez(draft.folder / "replicates.npz", auc=(value + UNITS + noise).astype("f4"), digest="d", n_units=50)
    reason = None if value is not None else "one class only"
    quality = Quality(
        metric="auc",
        metric_version=version,
        split="test",
        value=value,
        primary=True,
        direction=direction,
        reason=reason,
    )
    timed = (
        [Latency(batch=1, median=latency, p10=1, p90=1, repeats=9, threads=1, device="cpu", dtype="f")]
        if latency
        else []
    )
    cost = Cost(params_stored=rank or 100, bytes_stored=4 * (rank or 100), latency_ms=timed)
    draft.commit(msgspec.structs.replace(started, status="ok", quality=[quality], cost=cost))
    return store.get(run_id)


def sections(store: Store, seeds: int = 1) -> list[Section]:
    facts = Facts({"ctr": TaskFacts("ctr", seeds=seeds, methods=("none", "svd", "afm"))})
    return build_sections(collect([store]), facts)


def test_a_row_holds_mean_sample_deviation_and_count_over_seeds(store):
    values = [0.80, 0.82, 0.87]
    for seed, value in enumerate(values):
        commit(store, value, seed=seed)
    (row,) = sections(store)[0].rows
    assert row.primary.value == pytest.approx(np.mean(values))
    assert row.primary.std == pytest.approx(np.std(values, ddof=1))
    assert row.primary.n == 3
    assert row.primary.low < row.primary.value < row.primary.high


def test_an_undefined_seed_leaves_the_row_undefined(store):
    commit(store, 0.8, seed=0)
    commit(store, None, seed=1)
    (row,) = sections(store)[0].rows
    assert row.primary.value is None
    assert row.primary.reason == "one class only for seed 1"
    assert sections(store)[0].best is None


def test_a_failed_seed_and_missing_seeds_are_marked(store):
    commit(store, 0.8, seed=0)
    commit(store, None, seed=1, status="oom")
    section = sections(store, seeds=3)[0]
    assert section.rows[0].gaps == ("seed 1: oom", "1 of 3 seeds")
    assert [run.record.seed for run in section.failures] == [1]


def test_a_failure_that_later_succeeded_is_only_counted(store):
    commit(store, None, status="failed")
    commit(store, 0.8)
    section = sections(store)[0]
    assert (section.failures, section.recovered, section.rows[0].gaps) == ((), 1, ())


def test_the_latest_run_of_a_seed_counts(store):
    commit(store, 0.9, created_utc="2026-02-01T00:00:00+00:00")
    commit(store, 0.8)
    (row,) = sections(store)[0].rows
    assert (row.primary.value, row.primary.n) == (0.9, 1)


def test_rows_are_named_by_what_tells_them_apart(store):
    commit(store, 0.8)
    commit(store, 0.7, method="svd", rank=4)
    commit(store, 0.75, method="svd", rank=8)
    assert [row.label for row in sections(store)[0].rows] == ["none", "svd rank=8", "svd rank=4"]


def test_a_clear_difference_is_told_from_a_tie(store):
    for seed in range(3):
        commit(store, 0.800 + seed * 0.0001, seed=seed)
        commit(store, 0.8001 + seed * 0.0001, seed=seed, method="afm", rank=8)
        commit(store, 0.700 + seed * 0.0002, seed=seed, method="svd", rank=4)
    verdicts = {row.method: row.verdict for row in sections(store)[0].rows}
    assert verdicts == {"none": None, "afm": "tie", "svd": "worse"}


def test_less_is_better_turns_the_verdict_and_the_order(store):
    commit(store, 0.8, direction="min")
    commit(store, 0.7, direction="min", method="svd", rank=4)
    rows = sections(store)[0].rows
    assert [(row.method, row.verdict) for row in rows] == [("svd", "better"), ("none", None)]


def test_without_replicates_a_difference_is_shown_and_not_tested(store):
    commit(store, 0.8, replicates=False)
    commit(store, 0.7, replicates=False, method="svd", rank=4)
    row = sections(store)[0].rows[1]
    assert row.difference.difference == pytest.approx(-0.1)
    assert (row.verdict, row.difference.p) == (None, None)


def test_the_base_is_the_run_that_was_started_from(store):
    commit(store, 0.8, config_hash="other", key="other")
    base = commit(store, 0.9)
    commit(store, 0.7, method="svd", rank=4, base_run=base.run_id)
    commit(store, 0.7, method="afm", rank=4)
    rows = {row.method: row for row in sections(store)[0].rows if row.method != "none"}
    assert rows["svd"].difference.difference == pytest.approx(-0.2)
    assert rows["afm"].difference is None


def test_of_two_bases_of_one_model_the_one_with_the_same_settings_counts(store):
    for method, width, value in (("none", 400, 0.9), ("none", 64, 0.8), ("small_dim", 64, 0.7)):
        config = {"method": {"name": method, "kind": "train"}, "model": {"name": "net", "width": width}}
        name = f"{method}{width}"
        commit(store, value, method=method, config=config, config_hash=name, key=name)
    (row,) = (row for row in sections(store)[0].rows if row.method == "small_dim")
    assert row.difference.difference == pytest.approx(-0.1)


@pytest.mark.parametrize("changes", [{"sample": True}, {"dataset": "sim_toy"}, {"scale": "smoke"}])
def test_samples_simulations_and_smoke_runs_are_never_ranked(store, changes):
    commit(store, 0.8, **changes)
    commit(store, 0.9, method="svd", rank=4, **changes)
    (section,) = sections(store)
    assert section.unranked
    assert section.best is None
    assert [row.method for row in section.rows] == ["none", "svd"]
    assert all(row.difference is None for row in section.rows)


@pytest.mark.parametrize(
    "changes",
    [{"scale": "paper"}, {"dataset": "b"}, {"data_fingerprint": "g"}, {"task_version": 2}, {"protocol": "upstream"}],
)
def test_cells_never_share_a_table(store, changes):
    commit(store, 0.8)
    commit(store, 0.9, method="svd", rank=4, **changes)
    assert [len(section.rows) for section in sections(store)] == [1, 1]


def test_figures_of_an_older_metric_version_are_left_out_with_the_reason(store):
    commit(store, 0.8, version=1)
    commit(store, 0.7, method="svd", rank=4, version=2)
    new, old = sections(store)[0].rows
    assert (new.primary.value, old.primary.value) == (0.7, None)
    assert "rescore" in old.primary.reason


def test_latency_is_compared_on_one_machine_only(store):
    commit(store, 0.8, latency=2.0)
    commit(store, 0.7, method="svd", rank=4, latency=1.0)
    commit(store, 0.6, method="afm", rank=4, latency=0.1, host="another")
    rows = {row.method: row for row in sections(store)[0].rows}
    assert rows["svd"].latency[1].value == 1.0
    assert rows["afm"].latency[1].value is None
    assert "other hardware" in rows["afm"].latency[1].reason


def test_coverage_names_the_methods_without_a_row(store):
    commit(store, 0.8)
    section = sections(store)[0]
    assert (section.covered, section.missing) == (("none",), ("svd", "afm"))


def test_a_run_that_is_published_too_counts_once(store, tmp_path):
    from benchmarks.leaderboard.publish import publish

    commit(store, 0.8)
    publish(store, "run-0", tmp_path / "published")
    runs = collect([store, Store(tmp_path / "published")])
    assert [run.store is store for run in runs] == [True]


def test_missing_cells_hold_a_dash_with_a_reason_and_no_sort_value(store):
    commit(store, 0.8, latency=None)
    ((_, cells),) = table(sections(store)[0]).rows
    flops = cells[[column.key for column in table(sections(store)[0]).columns].index("flops")]
    assert (flops.text, flops.sort, flops.title) == (numbers.DASH, None, "not measured")


def point(cost: float | None, quality: float | None, name: str = "p") -> Point:
    return Point(name, name, cost, quality, None, None, f"{name} & co", "runs/x.html")


def test_the_front_marks_rows_that_nothing_dominates():
    points = [
        point(10, 0.9, "a"),
        point(5, 0.8, "b"),
        point(20, 0.85, "c"),
        point(None, 0.99, "d"),
        point(1, None, "e"),
    ]
    drawn = pareto_plot(points, x="size", y="auc", title="t")
    assert drawn.count("front-point") == 2
    assert drawn.count("<a ") == 3
    assert "a &amp; co" in drawn
    assert 'role="group"' in drawn  # inside an image its points could not be reached


def test_an_axis_ends_where_its_metric_does():
    assert padded([0.5, 0.99]) == pytest.approx((0.4706, 1.0194))
    assert padded([0.5, 0.99], (0.0, 1.0)) == pytest.approx((0.4706, 1.0))
    assert padded([0.01, 3.0], (0.0, None)) == pytest.approx((0.0, 3.1794))
    assert padded([1.0, 1.0], (0.0, 1.0)) == pytest.approx((0.99, 1.0))


def test_a_plot_needs_two_points():
    assert pareto_plot([point(1, 0.5), point(None, 0.6)], x="size", y="auc", title="t") is None


def test_an_interval_beyond_the_scale_ends_on_its_edge():
    assert 'cx="4.0"' in interval_bar(0.1, None, None, (0.5, 0.9))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.50 kB"), (999_999, "1.00 MB"), (1_692_812, "1.69 MB"), (None, numbers.DASH)],
)
def test_sizes_are_short(value, text):
    assert numbers.short(value, "B") == text


def test_figures_keep_the_decimals_of_their_column():
    assert numbers.column_decimals([0.98], [0.0017, 0.0021]) == 4
    assert numbers.column_decimals([1234.5], []) == 0
    assert numbers.fixed(0.5, 3) == "0.500"
    assert numbers.signed(-0.00001, 3) == "0.000"
    assert numbers.signed(-0.5, 1) == "\N{MINUS SIGN}0.5"
    assert numbers.probability(0.0004) == "< 0.001"
    assert numbers.ratio(30, 100) == "\N{MULTIPLICATION SIGN}0.30"
    assert list(numbers.ticks(0, 1, 5)) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert list(numbers.log_ticks(1, 100)) == [1, 2, 5, 10, 20, 50, 100]
