"""Rows at a budget form curves of their base, are judged at equal size, and are named and listed by their budget."""

from __future__ import annotations

import csv
import json
import re
import zlib

import msgspec
import numpy as np
import pytest

from benchmarks.leaderboard.numbers import DASH
from benchmarks.leaderboard.record import Cost, Quality, Record
from benchmarks.leaderboard.report.curve_plot import budget_plot
from benchmarks.leaderboard.report.curves import CurveSet
from benchmarks.leaderboard.report.facts import Facts, TaskFacts
from benchmarks.leaderboard.report.markdown import markdown_curves, markdown_report, markdown_table
from benchmarks.leaderboard.report.sections import Section, build_sections, collect
from benchmarks.leaderboard.report.site import build
from benchmarks.leaderboard.store import Store

EVIL = "<script>alert('x')</script>|"
UNITS = np.random.default_rng(0).normal(0, 0.002, 200)
OWN = np.random.default_rng(1).normal(size=200)
OWN = (OWN - OWN.mean()) / OWN.std()
BASE_BYTES = 1_000_000
SEEDS = (0, 1, 2)
SPREAD = {0: -0.001, 1: 0.0, 2: 0.001}
"""Deviation of a seed, shared by all methods: it cancels in paired differences."""
FACTS = Facts({"ctr": TaskFacts("ctr", seeds=3, methods=("none", "small_dim", "svd"), bases={"compress": "none"})})


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "results")


def commit(
    store: Store,
    value: float | None,
    *,
    method: str = "none",
    seed: int = 0,
    size: int | None = BASE_BYTES,
    units: tuple[int, ...] = (400, 400),
    own: float = 0.0,
    settings: dict | None = None,
    base: Record | None = None,
    replicates: bool = True,
    **changes,
) -> Record:
    """A run whose replicates are its value and the test set's noise, with `own` times a noise that only it has."""
    kind = "train" if method in ("none", "small_dim") else "compress"
    config = {
        "method": {"name": method, "kind": kind, "summary": "text", **(settings or {})},
        "model": {"name": "net", "hidden_units": list(units)},
        "finetune": {"max_epochs": 2},
    }
    name = f"{kind}-{zlib.crc32(json.dumps(config, sort_keys=True).encode())}"
    fields = {
        "run_id": f"run-{sum(1 for _ in store.place.runs())}", "status": "running", "task": "ctr", "task_version": 1,
        "created_utc": "2026-01-01T00:00:00+00:00", "dataset": "toy", "data_fingerprint": "f", "method": method,
        "model": "net", "scale": "small", "seed": seed, "config": config, "config_hash": name, "key": f"{name}-{seed}",
        "base_run": base.run_id if base else None, "overrides": ["task=ctr"],
    }  # fmt: skip
    started = Record(**(fields | changes))
    draft = store.begin(started)
    if replicates and value is not None:
        np.savez(draft.folder / "replicates.npz", auc=(value + UNITS + own * OWN).astype("f4"), digest="d", n_units=50)
    reason = None if value is not None else "one class only"
    quality = Quality(metric="auc", metric_version=1, split="test", value=value, primary=True, reason=reason)
    draft.commit(msgspec.structs.replace(started, status="ok", quality=[quality], cost=Cost(bytes_stored=size)))
    return store.get(started.run_id)


def curve(store: Store, method: str, values: dict[float, float], *, seeds=SEEDS, sizes=None, **options) -> None:
    """Runs of a method at budgets: for each its mean value; stored sizes are those asked for unless given."""
    bases = options.pop("bases", {})
    extra = options.pop("settings", {})
    for budget, value in values.items():
        size = (sizes or {}).get(budget, int(budget * BASE_BYTES if budget <= 1 else budget))
        for seed in seeds:
            commit(
                store,
                value + SPREAD[seed],
                method=method,
                seed=seed,
                size=size,
                settings={"budget": budget, **extra},
                base=bases.get(seed),
                **options,
            )


def three_bases(store: Store, value: float = 0.8, **options) -> dict[int, Record]:
    return {seed: commit(store, value + SPREAD[seed], seed=seed, **options) for seed in SEEDS}


CONTROL = {0.75: 0.795, 0.5: 0.79, 0.25: 0.78, 0.1: 0.75}


@pytest.fixture
def planted(store) -> Store:
    """A base, its control, and svd: a win at .75, a tie at .5, a loss at .25, and nothing at .1."""
    bases = three_bases(store)
    curve(store, "small_dim", CONTROL)
    own = 0.002  # so that two standard errors are .004
    curve(store, "svd", {0.75: 0.800, 0.5: 0.793, 0.25: 0.775}, bases=bases, own=own)
    return store


def section_of(store: Store) -> Section:
    (section,) = build_sections(collect([store]), FACTS)
    return section


def curves_of(store: Store) -> CurveSet:
    (found,) = section_of(store).curves
    return found


def judged(found: CurveSet, label: str) -> dict[float, str | None]:
    (curve,) = (curve for curve in found.curves if curve.label == label)
    return {point.budget: point.found.verdict for point in curve.points}


def test_rows_that_differ_in_their_budget_form_a_curve_judged_by_the_control_at_equal_size(planted):
    found = curves_of(planted)
    assert [(curve.label, curve.is_control) for curve in found.curves] == [("small_dim", True), ("svd", False)]
    assert judged(found, "svd") == {0.75: "win", 0.5: "tie", 0.25: "loss"}
    for point in found.curves[1].points:
        assert point.found.margin == pytest.approx(0.004, rel=1e-3)
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
