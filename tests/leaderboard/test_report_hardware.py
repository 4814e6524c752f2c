"""Latency and memory stand on one group of hardware at a time: the first where nobody chooses, all in the page."""

from __future__ import annotations

import re

import pytest

from benchmarks.leaderboard.record import decode, encode
from benchmarks.leaderboard.report.gather import gather
from benchmarks.leaderboard.report.markdown import markdown_table
from benchmarks.leaderboard.report.sections import Section, build_sections
from benchmarks.leaderboard.report.site import build
from benchmarks.leaderboard.report.tables import MOST_MACHINES, machines_shown, table
from benchmarks.leaderboard.report.task_page import view


@pytest.fixture
def store(generated, tmp_path):
    return generated(tmp_path / "results", 150)


@pytest.fixture
def section(store, facts) -> Section:
    return next(each for each in build_sections(gather([store]).runs, facts) if each.task.name == "ctr")


def move_all(root, host: str | None = None) -> None:
    """Rewrites where the runs of ctr were made: all on one host, or each row on one of its own."""
    for path in sorted((root / "ctr").glob("*/record.json")):
        record = decode(path.read_bytes())
        record.provenance.host_hash = host or record.config_hash
        record.provenance.cpu_model, record.provenance.gpu_name = "Xeon", None
        for latency in record.cost.latency_ms:
            latency.device = "cpu"
        path.write_bytes(encode(record))


def test_every_group_has_columns_with_the_figures_of_its_own_runs(section):
    machines = machines_shown(section)
    assert len(machines) == 3
    shown = table(section)
    for place, machine in enumerate(machines):
        at = [(column.key, column.machine) for column in shown.columns].index(("latency_256", place))
        memory = [(column.key, column.machine) for column in shown.columns].index(("peak_mem", place))
        for row, cells in shown.rows:
            here = [run.record.cost for run in row.runs if run.hardware == machine]
            if here:
                expected = sum(cost.latency_ms[0].median for cost in here) / len(here)
                assert cells[at].sort == pytest.approx(expected)
                assert cells[memory].sort == pytest.approx(sum(cost.peak_mem.bytes for cost in here) / len(here))
            else:
                assert (cells[at].sort, cells[memory].sort) == (None, None)
                assert "other hardware" in cells[at].title


def test_a_ratio_is_to_the_base_on_the_same_hardware_or_there_is_none(section):
    shown = table(section)
    for place, machine in enumerate(machines_shown(section)):
        at = [(column.key, column.machine) for column in shown.columns].index(("latency_256", place))
        for row, cells in shown.rows:
            if cells[at].note:
                assert row.base is not None
                assert all(run.hardware == machine for run in (*row.runs, *row.base.runs))


def test_the_page_holds_all_groups_and_shows_the_first(section, store, facts, tmp_path):
    page = (build([store], tmp_path / "report", facts=facts).parent / "ctr.html").read_text()
    assert 'class="results show-m0"' in page
    choice = re.search(r'<select class="hardware">(.*?)</select>', page)
    assert choice is not None
    assert re.findall(r">([^<]+)</option>", choice[1]) == [name for _, name in machines_shown(section)]
    for place in range(3):
        assert page.count(f'<figure class="m{place}">') == 2
        assert len(re.findall(rf'<th scope="col"[^>]*class="num m{place}"', page)) == 2


def test_one_group_is_no_choice(store, facts, tmp_path):
    move_all(tmp_path / "results", "h")
    page = (build([store], tmp_path / "report", facts=facts).parent / "ctr.html").read_text()
    assert '<select class="hardware">' not in page
    assert 'class="results"' in page
    assert 'class="num m0"' not in page
    assert "latency on Xeon" in page


def test_of_many_groups_the_largest_are_offered_and_names_that_read_alike_are_numbered(store, facts, tmp_path):
    move_all(tmp_path / "results")
    section = next(each for each in build_sections(gather([store]).runs, facts) if each.task.name == "ctr")
    assert len(section.plan.machines) > MOST_MACHINES
    names = [name for _, name in view(section)["machines"]]
    assert names == [f"Xeon, 1 thread (machine {number})" for number in range(1, MOST_MACHINES + 1)]


def test_a_readme_has_the_first_group_alone(section):
    heading = markdown_table(section).splitlines()[0]
    assert heading.count("ms @ 256") == 1


def test_a_figure_of_a_gpu_is_said_to_be_of_the_gpu(store, facts, tmp_path):
    """Runs name the device as the driver does, and their processor beside it."""
    for path in sorted((tmp_path / "results" / "ctr").glob("*/record.json")):
        record = decode(path.read_bytes())
        record.provenance.host_hash, record.provenance.cpu_model = "a", "Xeon"
        record.provenance.gpu_name = "NVIDIA H200"
        for latency in record.cost.latency_ms:
            latency.device = "NVIDIA H200"
        path.write_bytes(encode(record))
    made = next(each for each in build_sections(gather([store]).runs, facts) if each.task.name == "ctr")
    assert [name for _, name in machines_shown(made)] == ["NVIDIA H200"]
