"""Curves of budgets as they are shown: tables in Markdown, plots that need no sight, and the page."""

from __future__ import annotations

import csv
import json
import re

from benchmarks.leaderboard.numbers import DASH
from benchmarks.leaderboard.report.curve_plot import budget_plot
from benchmarks.leaderboard.report.markdown import markdown_curves, markdown_report, markdown_table
from benchmarks.leaderboard.report.site import build
from budget_runs import FACTS, commit, curve, curves_of, section_of, three_bases

EVIL = "<script>alert('x')</script>|"


def test_markdown_has_a_column_a_budget_and_the_main_table_is_without_those_rows(planted):
    section = section_of(planted)
    assert markdown_curves(section, section.curves[0]).splitlines() == [
        "| method | 0.75 | 0.5 | 0.25 | 0.1 |",
        "| --- | ---: | ---: | ---: | ---: |",
        "| small\\_dim (control) | 0.7950 | 0.7900 | 0.7800 | 0.7500 |",
        f"| svd | 0.8000 win | 0.7930 tie | 0.7750 loss | {DASH} |",
    ]
    main = markdown_table(section)
    assert "| none |" in main
    assert "budget" not in main
    report = markdown_report([section])
    assert "more than two paired standard errors" in report
    assert report.index("| none |") < report.index("| svd | 0.8000 win")
    assert len(section.rows) == 8


def test_markdown_shows_rows_at_the_whole_size_and_keeps_other_budgets_in_the_main_table(planted):
    curve(planted, "svd", {1.0: 0.801, 0.6: 0.794}, own=0.002)
    section = section_of(planted)
    text = markdown_curves(section, section.curves[0])
    assert text.splitlines()[0] == "| method | 1 | 0.75 | 0.5 | 0.25 | 0.1 |"
    assert "| svd | 0.8010 | 0.8000 win |" in text
    main = markdown_table(section)
    assert "svd budget=0.6" in main
    assert "budget=1" not in main


def test_gaps_are_marked_in_markdown(planted):
    curve(planted, "svd", {0.1: 0.7}, seeds=[0, 1])
    assert "| 0.6995 loss (2 of 3 seeds) |" in markdown_curves(section_of(planted), curves_of(planted))


def test_the_plot_can_be_read_by_keyboard_and_without_sight(planted):
    found = curves_of(planted)
    drawn = budget_plot(found, y="auc", metric="auc")
    points = re.findall(r'<a href="runs/(run-\d+)\.html" class="point[^"]*" aria-label="([^"]+)"', drawn)
    assert len(points) == 7
    assert {run_id for run_id, _ in points} == {p.row.record.run_id for curve in found.curves for p in curve.points}
    assert any(title.startswith("svd: auc 0.8 (") and title.endswith("win against the control") for _, title in points)
    assert drawn.count('class="budget-line control') == 2  # the line and its place in the legend
    assert 'class="base-level"' in drawn
    assert drawn.count('class="band"') == 1
    assert "1 win, 1 tie, 1 loss" in re.search(r"<title>(.*?)</title>", drawn)[1]


def test_many_curves_have_signs_of_their_own(store):
    bases = three_bases(store)
    for index in range(12):
        curve(store, f"method_{index}", {0.5: 0.79, 0.25: 0.78}, seeds=[0], bases=bases)
    drawn = budget_plot(curves_of(store), y="auc", metric="auc")
    signs = re.findall(r'<g class="legend (series-\d)">.*?<path d="M[\d.,]+ ([^"]+)" class="shape"', drawn)
    assert len(signs) == 12
    assert len(set(signs)) == 12


def test_the_page_shows_curves_and_escapes_their_names(planted, tmp_path):
    curve(planted, EVIL, {0.5: 0.79, 0.25: 0.70})
    out = build([planted], tmp_path / "report", facts=FACTS).parent
    text = (out / "ctr.html").read_text()
    assert "Quality against size: net" in text
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;") > 4
    assert "1 win" in text
    assert "+0.0050 ± 0.0040" in text
    assert '<table class="areas">' in text
    assert all((out / link).is_file() for link in re.findall(r'href="(runs/[^"]+)"', text))
    assert text.count("In the plot against size") == 1
    assert "&lt;script&gt;" in markdown_report([section_of(planted)])
    assert "<script>" not in markdown_report([section_of(planted)])
    with (out / "leaderboard.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == 10
    assert {line["label"] for line in lines} >= {"svd budget=0.5", "small_dim budget=0.1"}
    assert len(json.loads((out / "records.json").read_text())) == 3 * 10


def test_without_budgets_nothing_is_said_of_curves(store, tmp_path):
    three_bases(store)
    commit(store, 0.79, method="svd", settings={"rank": 4, "budget": None})
    text = (build([store], tmp_path / "report", facts=FACTS).parent / "ctr.html").read_text()
    assert "Quality against size" not in text
