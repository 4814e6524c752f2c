"""Rows at a budget form curves of their base, are judged at equal size, and are named and listed by their budget."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.leaderboard.numbers import DASH
from benchmarks.leaderboard.report.curves import CurveSet
from benchmarks.leaderboard.report.markdown import markdown_curves, markdown_table
from benchmarks.leaderboard.store import Store
from budget_runs import BASE_BYTES, CONTROL, commit, curve, curves_of, section_of, three_bases


def judged(found: CurveSet, label: str) -> dict[float, str | None]:
    (curve,) = (curve for curve in found.curves if curve.label == label)
    return {point.budget: point.found.verdict for point in curve.points}


def test_rows_that_differ_in_their_budget_form_a_curve_judged_by_the_control_at_equal_size(planted):
    found = curves_of(planted)
    assert [(curve.label, curve.is_control) for curve in found.curves] == [("small_dim", True), ("svd", False)]
    assert judged(found, "svd") == {0.75: "win", 0.5: "tie", 0.25: "loss"}
    for point in found.curves[1].points:
        assert point.found.margin == pytest.approx(0.004 * (50 / 49) ** 0.5, rel=1e-3)  # of 50 units
        assert point.found.difference == pytest.approx(point.row.primary.value - CONTROL[point.budget])
        assert point.found.seeds == 3
    assert found.verdicts == {"win": 1, "tie": 1, "loss": 1}


def test_what_counts_is_the_measured_size(store):
    bases = three_bases(store)
    curve(store, "small_dim", CONTROL)
    # Asked for 0.5, stored at the geometric mean of the neighbours 0.25 and 0.5.
    size = int(0.125**0.5 * BASE_BYTES)
    curve(store, "svd", {0.5: 0.785, 0.25: 0.78}, bases=bases, sizes={0.5: size}, own=0.001)
    point = curves_of(store).curves[1].points[0]
    assert point.share == pytest.approx(0.125**0.5, rel=1e-4)
    assert point.found.control == pytest.approx((0.78 + 0.79) / 2, rel=1e-4)
    assert point.found.verdict == "tie"


def test_a_size_beyond_the_control_is_not_judged(store):
    bases = three_bases(store)
    curve(store, "small_dim", {0.75: 0.79, 0.5: 0.78})
    curve(store, "svd", {0.75: 0.79, 0.25: 0.7}, bases=bases)
    inside, beyond = curves_of(store).curves[1].points
    assert inside.found.verdict == "tie"
    assert beyond.found.verdict is None
    assert "from 0.5 to 0.75 only, not to 0.25" in beyond.found.reason


def test_one_seed_is_shown_and_not_judged(store):
    three_bases(store)
    curve(store, "small_dim", CONTROL)
    curve(store, "svd", {0.5: 0.9, 0.25: 0.9}, seeds=[0])
    found = curves_of(store).curves[1]
    assert {point.found.verdict for point in found.points} == {None}
    assert {point.found.reason for point in found.points} == {"one seed only is paired with the control's"}
    assert found.areas[0.25, 0.75].figure.value is None


def test_without_a_control_or_replicates_the_reason_is_given(store):
    bases = three_bases(store)
    curve(store, "svd", {0.5: 0.8, 0.25: 0.79}, bases=bases)
    found = curves_of(store)
    assert found.control is None
    assert {point.found.reason for point in found.curves[0].points} == {"the control has no runs"}
    curve(store, "small_dim", CONTROL)
    curve(store, "afm", {0.5: 0.8, 0.25: 0.79}, bases=bases, replicates=False)
    (afm,) = (curve for curve in curves_of(store).curves if curve.label == "afm")
    assert {point.found.reason for point in afm.points} == {"no replicates are stored"}


def test_an_undefined_quality_or_size_is_left_out_with_its_reason(planted):
    commit(planted, None, method="svd", size=100_000, settings={"budget": 0.1})
    commit(planted, 0.7, method="svd", size=None, settings={"budget": 0.05})
    (svd,) = (curve for curve in curves_of(planted).curves if curve.label == "svd")
    assert [point.budget for point in svd.points] == [0.75, 0.5, 0.25, 0.1, 0.05]
    assert len(svd.measured) == 3
    assert svd.points[3].found.reason == "one class only"
    assert svd.points[4].found.reason == "not measured"


def test_two_bases_of_one_model_have_curves_of_their_own(store):
    wide, narrow = three_bases(store, 0.8), three_bases(store, 0.7, units=(64,), size=200_000)
    curve(store, "small_dim", CONTROL)
    curve(store, "small_dim", {0.5: 0.69, 0.25: 0.68}, units=(64,), sizes={0.5: 100_000, 0.25: 50_000})
    curve(store, "svd", {0.5: 0.80, 0.25: 0.79}, bases=wide)
    curve(store, "svd", {0.5: 0.69, 0.25: 0.60}, units=(64,), bases=narrow, sizes={0.5: 100_000, 0.25: 50_000})
    found = section_of(store).curves
    assert [each.title for each in found] == ["net hidden_units=[400,400]", "net hidden_units=[64]"]
    assert [[curve.label for curve in each.curves] for each in found] == [["small_dim", "svd"]] * 2
    assert judged(found[0], "svd") == {0.5: "win", 0.25: "win"}
    assert judged(found[1], "svd") == {0.5: "tie", 0.25: "loss"}
    assert [point.share for point in found[1].curves[0].points] == [0.5, 0.25]
    # The control is trained from scratch and names no base run: it is compared with the base of its settings all the same.
    rows = [row for row in section_of(store).rows if row.method == "small_dim"]
    assert all(row.base.record.config["model"] == row.record.config["model"] for row in rows)


def test_other_settings_make_other_curves_and_are_their_names(planted):
    curve(planted, "svd", {0.5: 0.79, 0.25: 0.78}, settings={"inner": "relu"})
    labels = [curve.label for curve in curves_of(planted).curves]
    assert labels == ["small_dim", "svd inner=null", "svd inner=relu"]


def test_points_of_older_runs_lie_on_the_curve_of_newer_ones(planted):
    curve(planted, "svd", {0.3: 0.777}, settings={"latency_batch": 256})  # a key that came later, at its first value
    assert [(curve.label, len(curve.points)) for curve in curves_of(planted).curves] == [("small_dim", 4), ("svd", 4)]


def test_a_budget_in_bytes_is_a_share_of_the_base(store):
    three_bases(store)
    curve(store, "small_dim", CONTROL)
    curve(store, "svd", {0.5: 0.79, 250_000: 0.78})
    points = curves_of(store).curves[1].points
    assert [(point.budget, point.asked, point.share) for point in points] == [(0.5, 0.5, 0.5), (250_000, 0.25, 0.25)]
    text = markdown_curves(section_of(store), curves_of(store))
    assert f"| svd | {DASH} | 0.7900 tie | 0.7800 tie | {DASH} |" in text


def test_a_single_budget_makes_no_curve_and_stays_in_the_table(store):
    three_bases(store)
    curve(store, "svd", {0.5: 0.79})
    section = section_of(store)
    assert section.curves == ()
    assert "svd budget=0.5" in markdown_table(section)


def test_areas_agree_with_numpy_and_are_judged(planted):
    found = curves_of(planted)
    control, svd = found.curves
    sizes, values = np.log([0.1, 0.25, 0.5, 0.75]), [0.75, 0.78, 0.79, 0.795]
    upper = np.trapezoid(values[1:], sizes[1:]) / (sizes[3] - sizes[1])
    assert control.areas[0.25, 0.75].figure.value == pytest.approx(upper)
    assert control.areas[0.1, 0.25].figure.value == pytest.approx(0.765)
    mine = np.trapezoid([0.775, 0.793, 0.8], sizes[1:]) / (sizes[3] - sizes[1])
    area = svd.areas[0.25, 0.75]
    assert area.figure.value == pytest.approx(mine)
    assert area.figure.low < mine < area.figure.high
    assert area.found.difference == pytest.approx(mine - upper)
    assert area.found.verdict == "tie"
    missing = svd.areas[0.1, 0.25]
    assert missing.figure.value is None
    assert missing.figure.reason == "sizes run from 0.25 to 0.75, the area from 0.1 to 0.25"


def test_a_control_of_another_network_is_no_control(store):
    bases = three_bases(store)
    curve(store, "svd", {0.5: 0.8, 0.25: 0.79}, bases=bases)
    curve(store, "small_dim", CONTROL, units=(64,))
    found = curves_of(store)
    assert [curve.label for curve in found.curves] == ["svd"]
    # Its rows stand in no curve, so the main table keeps them.
    assert "small\\_dim budget=0.5" in markdown_table(section_of(store))


def test_replicates_are_read_once(planted, monkeypatch):
    read = []
    original = Store.read_file
    monkeypatch.setattr(
        Store, "read_file", lambda self, run, name: read.append(run.run_id) or original(self, run, name)
    )
    section_of(planted)
    assert sorted(read) == sorted({record.run_id for record in planted.records()})
