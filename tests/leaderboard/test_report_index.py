"""The first page says where every method stands in every task, what is missing, and what has changed."""

from __future__ import annotations

import re
import shutil

import pytest

from benchmarks.leaderboard.report.changes import STATE, changes_since, read_state, state_of
from benchmarks.leaderboard.report.citations import citations
from benchmarks.leaderboard.report.grid import Grid, grid
from benchmarks.leaderboard.report.sections import build_sections, collect
from benchmarks.leaderboard.report.site import build
from benchmarks.leaderboard.reported import reported_rows

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def sections(generated, facts, tmp_path):
    return build_sections(collect([generated(tmp_path / "results", 300)]), facts)


@pytest.fixture
def whole(sections, facts) -> Grid:
    tasks = {section.first.task: [section] for section in sections}
    return grid(tasks, [*tasks, "empty"], facts)


def cell(found: Grid, method: str, task: str):
    (line,) = (line for line in found.lines if line.method == method)
    return line.cells[[column.task for column in found.columns].index(task)]


def test_every_method_has_a_cell_in_every_task(whole, facts):
    assert {line.method for line in whole.lines} == facts.methods.keys()
    assert all(len(line.cells) == len(whole.columns) == 8 for line in whole.lines)


def test_a_cell_holds_the_best_row_and_the_rank_among_methods(whole, sections):
    (section,) = (section for section in sections if section.first.task == "trajectory")
    best = section.best
    found = cell(whole, best.method, "trajectory")
    assert found.sort == best.primary.value == min(row.primary.value for row in section.rows)
    assert found.note == "rank 1 of 12"
    assert found.href == f"runs/{best.record.run_id}.html"
    ranks = [line.cells[0].note for line in whole.lines if line.cells[0].kind == "value"]
    assert sorted(ranks) == sorted(f"rank {rank} of 12" for rank in range(1, 13))


def test_what_is_missing_says_why(whole):
    assert cell(whole, "bcm", "ctr").text == "not run"
    assert cell(whole, "svd", "empty").text == "not run"
    (column,) = (column for column in whole.columns if column.task == "ctr")
    assert (column.ran, column.fit) == (12, 13)
    (line,) = (line for line in whole.lines if line.method == "bcm")
    assert (line.ran, line.fit) == (0, 8)


def test_a_method_that_does_not_fit_is_told_from_one_that_was_not_run(generated, facts, tmp_path):
    found = grid({}, ["ctr"], facts)
    texts = {line.method: line.cells[0].text for line in found.lines}
    assert texts["dora"] == "does not fit"
    assert texts["svd"] == "not run"


def test_a_method_that_only_failed_or_is_not_ranked_says_so(generated, facts, tmp_path):
    root = tmp_path / "results"
    generated(root, 300)
    for folder in (root / "ctr").iterdir():
        if folder.name.startswith("svd") and "oom" not in (folder / "record.json").read_text():
            shutil.rmtree(folder)
        elif folder.name.startswith("afm"):
            text = (folder / "record.json").read_text()
            (folder / "record.json").write_text(text.replace('"scale": "paper"', '"scale": "smoke"'))
    (failed,) = (root / "medseg").glob("none-netA-0-s0-*")
    shutil.copytree(failed, root / "ctr" / "svd-x")
    text = (failed / "record.json").read_text().replace('"task": "medseg"', '"task": "ctr"')
    text = text.replace('"status": "ok"', '"status": "failed"').replace('"method": "none"', '"method": "svd"')
    (root / "ctr" / "svd-x" / "record.json").write_text(re.sub(r'"run_id": ".*?"', '"run_id": "svd-x"', text))
    found = build_sections(collect([generated(root, 0)]), facts)
    whole = grid({"ctr": [section for section in found if section.first.task == "ctr"]}, ["ctr"], facts)
    assert cell(whole, "svd", "ctr").kind == "failed"
    assert (cell(whole, "afm", "ctr").kind, cell(whole, "afm", "ctr").text) == ("unranked", "not ranked")


def test_the_next_build_tells_what_was_added_changed_and_removed(generated, tmp_path):
    root, out = tmp_path / "results", tmp_path / "report"
    assert "first build" in build([generated(root, 70)], out).read_text()
    assert "Nothing has changed" in build([generated(root, 70)], out).read_text()
    (gone,) = (root / "ctr").glob("afm-netA-0-s0-*")
    for folder in (root / "ctr").glob("afm-netA-0-s?-*"):
        shutil.rmtree(folder)
    text = build([generated(root, 0)], out).read_text()
    assert "1 row removed" in text
    assert f"ctr, ml_100k · paper: <strong>{gone.name[:3]}" in text
    text = build([generated(root, 90)], out).read_text()
    assert "rows added" in text
    assert re.search(r"\d rows? changed", text)
    assert "new run" in text


def test_a_state_that_cannot_be_read_costs_no_report(generated, tmp_path):
    root, out = tmp_path / "results", tmp_path / "report"
    build([generated(root, 7)], out)
    for damaged in ("", "{", "[]", '{"schema": 99}', '{"schema": 1, "latest": "", "rows": [1]}'):
        (out / STATE).write_text(damaged)
        assert "first build" in build([generated(root, 0)], out).read_text()


def test_the_state_is_read_as_it_was_written(sections, generated, facts, tmp_path):
    out = build([generated(tmp_path / "results", 0)], tmp_path / "report", facts=facts).parent
    assert changes_since(read_state(out / STATE), state_of(sections)).groups == []


def test_citations_name_the_suite_the_data_and_the_sources_of_methods_that_ran(sections, facts):
    text = citations(sections, facts)
    assert text.startswith("@software{lowrank-benchmarks,")
    assert "  note = {B. Author 2021}," in text
    assert "@misc{method-svd,\n  title = {All about svd},\n  note = {A. Author 2020},\n}" in text
    assert "method-bcm" not in text
    assert text.count("{") == text.count("}")


def test_citations_hold_reported_sources_and_no_live_tex(generated, facts, tmp_path):
    facts.methods["svd"]["source"] = r"50% of \input{x} & _y_ " + EVIL
    found = build_sections(collect([generated(tmp_path / "results", 70)]), facts, reported_rows())
    text = citations(found, facts)
    assert r"50\% of \textbackslash{}input\{x\} \& \_y\_" in text
    assert "Reported figures: " in text
    facts.methods["svd"]["source"] = "A. Author 2020"


def test_downloads_lie_beside_the_pages(generated, facts, tmp_path):
    index = build([generated(tmp_path / "results", 70)], tmp_path / "report", facts=facts)
    text = index.read_text()
    for name in ("leaderboard.csv", "records.json", "leaderboard.md", "citations.bib"):
        assert (index.parent / name).stat().st_size > 0
        assert f'href="{name}"' in text
    assert "| svd budget=0.75" in (index.parent / "leaderboard.md").read_text()
