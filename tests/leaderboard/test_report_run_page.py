"""The page of a run shows what tells it from the default, the end of a long log, and what is not there."""

from __future__ import annotations

import msgspec
import pytest

from benchmarks.leaderboard.record import Failure, SideFile, decode, encode
from benchmarks.leaderboard.report.facts import Facts
from benchmarks.leaderboard.report.gather import gather
from benchmarks.leaderboard.report.rows import Run
from benchmarks.leaderboard.report.run_page import LOG_LINES, LOG_WIDTH, run_page
from benchmarks.leaderboard.report.site import build
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.worst import Worst, WorstUnit

RUN = "none-netA-0-s0-00000"


@pytest.fixture
def store(generated, tmp_path) -> Store:
    return generated(tmp_path / "results", 1)


def the_run(store: Store, **changes) -> Run:
    """The one run of the store, its record changed."""
    (run,) = gather([store]).runs
    return Run(msgspec.structs.replace(run.record, **changes), store)


def test_settings_that_differ_from_the_default_are_listed_with_it(store):
    defaults = {"none": {"name": "none", "version": 1, "rank": 4, "budget": None, "summary": "text"}}
    found = run_page(the_run(store), Facts(methods=defaults, models={"netA": {"width": 100}}))
    assert found.changed == [("method.rank", "2", "4"), ("model.width", "400", "100")]
    assert run_page(the_run(store), Facts(methods=defaults)).changed == [("method.rank", "2", "4")]


def test_what_was_typed_is_listed_beside_it(store):
    run = the_run(store, overrides=["task=ctr", "+trainer.max_epochs=30", "seed=1", "method.rank=2"])
    defaults = Facts(methods={"none": {"rank": 2}})
    assert run_page(run, defaults).changed == [("trainer.max_epochs", "30", "")]


def test_defaults_of_another_version_or_of_no_known_method_are_not_claimed(store):
    defaults = Facts(methods={"none": {"version": 2, "rank": 2}})
    assert run_page(the_run(store), defaults).changed is None
    assert run_page(the_run(store), Facts()).changed is None


def test_a_log_of_megabytes_is_shortened_to_its_end(store, tmp_path):
    log = tmp_path / "results" / "ctr" / RUN / "log.txt"
    log.write_text("early\n" + "x" * 2_000_000 + "\rlate <b>\n" + "y" * 3000 + "\nlast\n")
    found = run_page(the_run(store), Facts())
    assert found.log.splitlines()[-3::2] == ["late <b>", "last"]
    assert len(found.log) < LOG_LINES * (LOG_WIDTH + 2)
    assert "early" not in found.log
    page = build([store], tmp_path / "report").parent / "runs" / f"{RUN}.html"
    assert page.stat().st_size < 60_000
    assert "late &lt;b&gt;" in page.read_text()


def test_files_that_the_record_lists_and_that_are_gone_are_named(store, tmp_path):
    folder = tmp_path / "results" / "ctr" / RUN
    (folder / "log.txt").unlink()
    record = decode((folder / "record.json").read_bytes())
    lost = [*record.files, SideFile(name="pictures/a.png", sha256="0", bytes=9)]
    (folder / "record.json").write_bytes(encode(msgspec.structs.replace(record, files=lost)))
    text = (build([store], tmp_path / "report").parent / "runs" / f"{RUN}.html").read_text()
    assert "Listed by the record, but not there: log.txt, pictures/a.png." in text


def test_a_failure_of_megabytes_does_not_make_such_pages(store, tmp_path):
    path = tmp_path / "results" / "ctr" / RUN / "record.json"
    failure = Failure(phase="fit", exception="E", message="m" * 2_000_000, traceback=["t" * 2_000_000] * 40)
    record = msgspec.structs.replace(decode(path.read_bytes()), status="failed", failure=failure)
    path.write_bytes(encode(record))
    folder = build([store], tmp_path / "report").parent
    assert (folder / "runs" / f"{RUN}.html").stat().st_size < 200_000
    assert (folder / "ctr.html").stat().st_size < 60_000


def test_no_file_outside_the_run_is_shown(store, tmp_path):
    (tmp_path / "secret.png").write_bytes(b"mine")
    name = "pictures/../../../../secret.png"
    assert run_page(the_run(store, files=[SideFile(name=name, sha256="0", bytes=4)]), Facts()).pictures == {}


def test_a_base_that_the_report_lacks_is_named_without_a_link(store, tmp_path):
    path = tmp_path / "results" / "ctr" / RUN / "record.json"
    path.write_bytes(encode(msgspec.structs.replace(decode(path.read_bytes()), base_run="elsewhere")))
    text = (build([store], tmp_path / "report").parent / "runs" / f"{RUN}.html").read_text()
    assert "<code>elsewhere</code>, which is not in this report" in text
    assert "elsewhere.html" not in text


def with_worst(store: Store, tmp_path, found: Worst, pictured: dict[str, list[str]] | None = None) -> str:
    """The page of the run with a file of its worst units, one picture and the units that it shows."""
    folder = tmp_path / "results" / "ctr" / RUN
    (folder / "pictures").mkdir()
    content = {"worst.json": msgspec.json.encode(found), "pictures/a.png": b"PNG"}
    content |= {"pictures/units.json": msgspec.json.encode(pictured)} if pictured else {}
    record = decode((folder / "record.json").read_bytes())
    for name, data in content.items():
        (folder / name).write_bytes(data)
        record.files.append(SideFile(name=name, sha256="0", bytes=len(data)))
    (folder / "record.json").write_bytes(encode(record))
    return (build([store], tmp_path / "report").parent / "runs" / f"{RUN}.html").read_text()


def worst(*units: tuple[str, float], reason: str | None = None) -> Worst:
    listed = [WorstUnit(name=name, condition=None, samples=2, value=value) for name, value in units]
    middle = 0.75 if units else None
    return Worst(
        metric="auc", metric_version=1, direction="max", unit="users", single=False, measured=1234, undefined=5,
        middle=middle, worst=listed, reason=reason,
    )  # fmt: skip


def test_the_worst_units_are_listed_and_lead_to_their_picture(store, tmp_path):
    page = with_worst(store, tmp_path, worst(("<u7>", 0.125), ("u9", 0.25)), {"a.png": ["u9"], "gone.png": ["<u7>"]})
    assert "<h2>Worst users</h2>" in page
    assert "the middle of 1,234 is 0.75, and on 5 others auc is not defined" in page
    assert page.index("&lt;u7&gt;") < page.index(">u9<")
    assert '<a href="#pictures-a.png">' in page
    assert '<figure id="pictures-a.png">' in page
    assert "gone.png" not in page


def test_a_run_without_worst_units_says_why(store, tmp_path):
    page = with_worst(store, tmp_path, worst(reason="auc is not defined on any of the 9 users alone"))
    assert "None is named: auc is not defined on any of the 9 users alone." in page


def test_an_older_run_has_no_such_part(store, tmp_path):
    page = (build([store], tmp_path / "report").parent / "runs" / f"{RUN}.html").read_text()
    assert "Worst" not in page


def test_a_damaged_file_of_worst_units_is_named_and_the_page_is_made(store, tmp_path):
    folder = tmp_path / "results" / "ctr" / RUN
    (folder / "worst.json").write_text("{")
    record = decode((folder / "record.json").read_bytes())
    record.files.append(SideFile(name="worst.json", sha256="0", bytes=1))
    (folder / "record.json").write_bytes(encode(record))
    page = (build([store], tmp_path / "report").parent / "runs" / f"{RUN}.html").read_text()
    assert "worst.json" in page
    assert "(damaged)" in page
