"""Figures that others report for single conditions, and their place in the report and on the terminal."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.console import result_table
from benchmarks.leaderboard.record import Provenance, Quality, Record
from benchmarks.leaderboard.report.site import build
from benchmarks.leaderboard.reported import reported_rows
from benchmarks.leaderboard.store import Store

SCENES = ["eth", "hotel", "univ", "zara1", "zara2"]
FIGURE = (
    "source: {title: t, url: u}\nfigures: [{task: t, dataset: d, method: m, how: read, comparable: true, rows: [%s]}]"
)


def make() -> Record:
    quality = [
        Quality(metric=metric, metric_version=1, split="test", value=value, unit="m", direction="min",
                primary=metric == "minade@20", condition=condition)
        for metric, value in (("minade@20", 0.2), ("minfde@20", 0.4))
        for condition in (None, *SCENES)
    ]  # fmt: skip
    return Record(
        run_id="run-1", status="running", created_utc="2026-01-01T00:00:00+00:00", task="trajectory", task_version=1,
        dataset="eth_ucy", data_fingerprint="f", method="eigentrajectory", model="mlp", scale="small", seed=0,
        config={}, config_hash="c", key="k", provenance=Provenance(git_sha="abc", git_dirty=False), quality=quality,
    )  # fmt: skip


def test_a_row_has_figures_over_all_conditions_and_under_each_and_a_source_of_its_own(tmp_path):
    row = "{source: {table: '2'}, values: {a: 1.0, b: 2.0}, conditions: {x: {a: 3.0}}}, {source: {table: '1'}, values: {a: 4.0}}"
    (tmp_path / "paper.yaml").write_text(FIGURE % row)
    found = [(r.source.table, r.metric, r.condition, r.value) for r in reported_rows(folder=tmp_path)]
    assert found == [("2", "a", None, 1.0), ("2", "b", None, 2.0), ("2", "a", "x", 3.0), ("1", "a", None, 4.0)]


def test_a_row_without_values_is_refused(tmp_path):
    (tmp_path / "paper.yaml").write_text(FIGURE % "{source: {table: '2'}, conditions: {x: {a: 3.0}}}")
    with pytest.raises(BenchmarkError, match=r"paper\.yaml.*'values'"):
        reported_rows(folder=tmp_path)


def test_averages_over_scenes_are_plain_means_of_the_scenes_to_two_decimals():
    rows = reported_rows("trajectory", "eth_ucy")
    scenes: dict[tuple, list[float]] = {}
    for row in rows:
        if row.condition is not None:
            scenes.setdefault((row.method, row.comparable, row.metric), []).append(row.value)
    checked = 0
    for row in rows:
        own = scenes.get((row.method, row.comparable, row.metric))
        if row.condition is None and own:
            # Papers average before they round.
            assert row.value == pytest.approx(sum(own) / len(SCENES), abs=0.0101), (row.method, row.metric)
            checked += 1
    assert {len(values) for values in scenes.values()} == {len(SCENES)}
    assert checked == 2 * len({(row.method, row.comparable) for row in rows})


def test_the_report_shows_scenes_as_columns_and_links_each_method_to_its_source(tmp_path):
    store = Store(tmp_path / "results")
    draft = store.begin(make())
    finished = make()
    finished.status = "ok"
    draft.commit(finished)
    text = (build([store], tmp_path / "report", reported=reported_rows()).parent / "trajectory.html").read_text()
    tables = re.findall(r'<table class="reported">.*?</table>', text, re.DOTALL)
    assert sorted("Not comparable" in each for each in tables) == [False, False, True, True, True]
    assert all(each.count(f"<small>{scene}</small>") == 2 for each in tables for scene in SCENES)
    assert '<a href="https://arxiv.org/abs/2104.01528">sgcn</a>' in text
    assert "Sources (recalled)" in text


def test_the_terminal_shows_reported_scenes_in_their_columns():
    console = Console(width=250, record=True, file=io.StringIO())
    console.print(result_table([("this run", make())], reported=reported_rows("trajectory", "eth_ucy")))
    line = next(each for each in console.export_text().splitlines() if "0.44" in each and "0.64" in each)
    assert re.findall(r"\d\.\d+", line) == ["0.44", "0.64", "0.49", "0.44", "0.34", "0.3", "0.75"]
