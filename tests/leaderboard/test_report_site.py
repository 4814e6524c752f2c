"""The report opens from the file system, escapes what it shows, and says what is missing."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.commands.report import main
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.console import result_table
from benchmarks.leaderboard.record import Cost, Failure, Latency, Quality, Record
from benchmarks.leaderboard.report.facts import Facts, TaskFacts
from benchmarks.leaderboard.report.markdown import BEGIN, END, write_between_markers
from benchmarks.leaderboard.report.site import build
from benchmarks.leaderboard.reported import reported_rows
from benchmarks.leaderboard.store import Store

ROOT = Path(__file__).resolve().parents[2]
EVIL = "<script>alert('x')</script>"
REPORT = ROOT / "leaderboard" / "report"


def commit(
    store: Store, run_id: str, value: float, *, latency: float | None = 1.0, status: str = "ok", **changes
) -> Record:
    fields = {
        "run_id": run_id, "status": "running", "created_utc": "2026-01-01T00:00:00+00:00", "task": "ctr",
        "task_version": 1, "dataset": "frappe_x1r", "data_fingerprint": "f" * 64, "method": "none", "model": "deepfm",
        "scale": "paper", "seed": 0, "config": {"method": {"name": "none"}}, "config_hash": run_id, "key": run_id,
        "overrides": ["task=ctr", "method=none"],
    }  # fmt: skip
    started = Record(**(fields | changes))
    draft = store.begin(started)
    (draft.folder / "log.txt").write_text(f"line 1\n{EVIL}\n")
    if status != "ok":
        failure = Failure(phase="fit", exception="OutOfMemoryError", message=f"no memory {EVIL}", traceback=["at <b>"])
        draft.commit(msgspec.structs.replace(started, status=status, failure=failure))
        return store.get(run_id)
    np.savez(draft.folder / "replicates.npz", auc=np.linspace(value - 0.01, value + 0.01, 50, dtype="f4"), digest="d")
    (draft.folder / "history.csv").write_text(
        "stage,epoch,step,train_loss,val_auc\nfit,0,10,0.5,0.7\nfit,1,20,0.4,\nfit,2,30,0.3,0.8\n"
    )
    (draft.folder / "pictures").mkdir()
    (draft.folder / "pictures" / "a.png").write_bytes(b"\x89PNG")
    quality = [
        Quality(metric="auc", metric_version=1, split="test", value=value, primary=True),
        Quality(metric="logloss", metric_version=1, split="test", value=0.2, unit="nats", direction="min"),
        Quality(metric="auc", metric_version=1, split="test", value=value, condition=EVIL),
    ]
    timed = (
        [Latency(batch=256, median=latency, p10=1, p90=2, repeats=9, threads=1, device="cpu", dtype="f")]
        if latency
        else []
    )
    cost = Cost(params_stored=100, bytes_stored=400, latency_ms=timed)
    draft.commit(msgspec.structs.replace(started, status="ok", quality=quality, cost=cost))
    return store.get(run_id)


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path / "results")
    commit(store, "base", 0.95, latency=9.5)
    commit(
        store, "svd", 0.94, latency=10.1, method="svd", base_run="base", config={"method": {"name": "svd", "rank": 4}}
    )
    commit(store, "evil", 0.90, latency=None, method=EVIL, config={"method": {"name": EVIL, "note": EVIL}})
    commit(store, "lost", 0, status="oom", method="afm")
    return store


@pytest.fixture
def report(store, tmp_path) -> Path:
    facts = Facts(
        {"ctr": TaskFacts("ctr", "Clicks", "recsys", 1, ("none", "svd", "tt"))},
        {"frappe_x1r": {"title": "Frappe", "summary": "s", "licence": "L", "citation": EVIL, "homepage": "https://h"}},
    )
    return build([store], tmp_path / "report", facts=facts, reported=reported_rows()).parent


class Page(HTMLParser):
    """Collects elements, and checks that they are closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def pages(report: Path) -> dict[str, str]:
    return {str(path.relative_to(report)): path.read_text() for path in sorted(report.rglob("*.html"))}


def test_every_page_is_well_formed_and_its_local_links_lead_somewhere(report):
    found = pages(report)
    assert list(found) == ["ctr.html", "index.html", *(f"runs/{name}.html" for name in ("base", "evil", "lost", "svd"))]
    for name, text in found.items():
        page = Page(text)
        assert page.open == []
        for _, attributes in page.elements:
            target = attributes.get("href") or attributes.get("src") or ""
            if target and not target.startswith(("#", "https://")):
                path, _, anchor = target.partition("#")
                linked = (report / name).parent / path
                assert linked.exists(), (name, target)
                assert not anchor or f'id="{anchor}"' in linked.read_text()


def test_nothing_is_loaded_from_a_network_or_a_module(report):
    for text in pages(report).values():
        page = Page(text)
        assert all(not (attributes.get("src") or "").startswith("http") for _, attributes in page.elements)
        assert not any(tag == "link" for tag, _ in page.elements)
        assert "fetch(" not in text
        assert 'type="module"' not in text
        assert "@import" not in text
    assert (REPORT / "report.js").stat().st_size <= 15_000


def test_what_runs_say_is_escaped_everywhere(report):
    for name, text in pages(report).items():
        assert EVIL not in text, name
        assert "<script>alert" not in text
    assert "&lt;script&gt;" in (report / "ctr.html").read_text()


def test_inline_data_cannot_end_its_script_element(report):
    text = (report / "ctr.html").read_text()
    inline = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1]
    assert "<" not in inline
    assert "\\u003cscript>" in inline
    (table,) = json.loads(inline).values()
    assert any(line["method"] == EVIL for line in csv.DictReader(io.StringIO(table)))


def test_an_empty_store_gives_a_page_that_says_what_to_type(tmp_path):
    index = build([Store(tmp_path / "nothing")], tmp_path / "report")
    text = index.read_text()
    assert "No runs yet" in text
    assert "python -m benchmarks task=ctr method=svd" in text
    assert json.loads((index.parent / "records.json").read_text()) == []
    assert not (tmp_path / "nothing").exists()


def test_a_row_goes_with_its_record(store, tmp_path):
    shutil.rmtree(tmp_path / "results" / "ctr" / "svd")
    text = (build([store], tmp_path / "report").parent / "ctr.html").read_text()
    assert "svd" not in text


def test_the_task_page_tells_failures_coverage_sources_and_the_card(report):
    text = (report / "ctr.html").read_text()
    assert "no memory" in text
    assert "without a run: tt" in text
    assert "Not comparable: official train file" in text
    assert "BARS" in text
    assert "Licence" in text
    index = (report / "index.html").read_text()
    assert "2 of 3" in index
    assert "failed" in index


def test_the_table_can_be_sorted_and_read_without_sight_or_script(report):
    page = Page((report / "ctr.html").read_text())
    headings = [attributes for tag, attributes in page.elements if tag == "th" and attributes.get("scope") == "col"]
    assert sum("aria-sort" in attributes for attributes in headings) == 1
    assert any(tag == "caption" for tag, _ in page.elements)
    assert all(
        "aria-label" in attributes for tag, attributes in page.elements if attributes.get("role") in ("img", "region")
    )
    cells = [
        attributes["data-value"] for tag, attributes in page.elements if tag == "td" and "data-value" in attributes
    ]
    assert {"9.5", "10.1", ""} <= set(cells)


def test_the_run_page_repeats_the_command_and_shows_curves_pictures_and_the_log(report):
    text = (report / "runs" / "svd.html").read_text()
    assert "python -m benchmarks task=ctr method=none" in text
    assert "Learning curves: train_loss, val_auc" in text
    assert (report / "runs" / "svd-pictures-a.png").read_bytes() == b"\x89PNG"
    assert "line 1" in text
    assert "OutOfMemoryError" in (report / "runs" / "lost.html").read_text()


def test_exports_hold_every_row_and_every_record(report, store):
    with (report / "leaderboard.csv").open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert [line["method"] for line in lines] == ["none", "svd", EVIL]
    assert [line["latency_ms_256"] for line in lines] == ["9.5", "10.1", ""]
    assert [record["run_id"] for record in json.loads((report / "records.json").read_text())] == [
        "base",
        "evil",
        "lost",
        "svd",
    ]


def test_equal_stores_give_equal_reports(store, tmp_path):
    first = {path.name: path.read_bytes() for path in build([store], tmp_path / "a").parent.rglob("*.*")}
    second = {path.name: path.read_bytes() for path in build([store], tmp_path / "b").parent.rglob("*.*")}
    assert first == second


def test_an_earlier_report_is_replaced_and_any_other_folder_is_left_alone(store, tmp_path):
    build([store], tmp_path / "report")
    (tmp_path / "report" / "stale.html").write_text("")
    build([store], tmp_path / "report")
    assert not (tmp_path / "report" / "stale.html").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(BenchmarkError, match="left alone"):
        build([store], tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "report", "results"]


def test_reports_of_several_processes_in_one_place_are_all_built(store, tmp_path):
    out = tmp_path / "report"
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: build([store], out), range(8))) == {out / "index.html"}
    assert (out / "index.html").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report", "results"]


def test_the_command_needs_no_torch(store, tmp_path):
    code = (
        "import sys; from benchmarks.commands.report import main; "
        f"main(['--store', {store.root!r}, '--out', {str(tmp_path / 'out')!r}, '--no-published']); "
        "print('torch' in sys.modules, 'hydra' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / "out" / "index.html"), "False", "False"]


def test_markdown_holds_the_ranked_rows_and_escapes_them(store, tmp_path, capsys):
    commit(store, "smoke", 0.5, scale="smoke", method="smoke_only")
    assert main(["--store", store.root, "--table", str(tmp_path / "table.md"), "--no-published"]) == 0
    text = (tmp_path / "table.md").read_text()
    assert "| svd rank=4 (1 of 3 seeds) | deepfm | 0.940" in text
    assert "&lt;script&gt;" in text
    assert "smoke" not in text
    assert len({line.count(" | ") for line in text.splitlines() if line.startswith("|")}) == 1


def test_the_readme_is_changed_between_its_markers_only(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    write_between_markers(readme, "new\n")
    assert readme.read_text() == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    readme.write_text("no markers")
    with pytest.raises(BenchmarkError, match="leaderboard:begin"):
        write_between_markers(readme, "new")
    assert readme.read_text() == "no markers"


def rendered(*arguments) -> str:
    from rich.console import Console

    console = Console(width=200, file=io.StringIO())
    console.print(result_table(*arguments))
    return console.file.getvalue()


def test_the_console_table_shows_differences_ratios_and_reported_figures(store):
    rows = [("base", store.get("base")), ("svd", store.get("svd")), ("extra", store.get("evil"))]
    text = rendered(rows, reported_rows("ctr", "frappe_x1r"))
    assert "svd rank=4" in text
    assert "\N{MINUS SIGN}0.0100" in text
    assert "\N{MULTIPLICATION SIGN}1.1" in text
    assert "reported, not comparable (frappe_x1)" in text
    assert "0.983947" in text
    assert EVIL in text


def test_the_console_table_of_a_failed_run_is_empty_but_there(store):
    assert "result" in rendered([("svd", store.get("lost"))])
