"""Records that cannot be used are left out by name: on the page, on standard error and in the exit code."""

from __future__ import annotations

import json
import shutil

import msgspec
import pytest

from benchmarks.commands.report import main
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.publish import publish
from benchmarks.leaderboard.record import SCHEMA, UnreadableRecord, decode, encode
from benchmarks.leaderboard.report.gather import gather
from benchmarks.leaderboard.report.sections import collect
from benchmarks.leaderboard.store import Store

RUN = "none-netA-0-s0-00000"


@pytest.fixture
def store(generated, tmp_path) -> Store:
    return generated(tmp_path / "results", 15)


@pytest.fixture
def record_file(store, tmp_path):
    return tmp_path / "results" / "ctr" / RUN / "record.json"


def report(store, tmp_path, *options: str) -> int:
    return main(["--store", store.root, "--out", str(tmp_path / "report"), "--no-published", *options])


def schema_zero(text: str) -> str:
    return text.replace(f'"schema": {SCHEMA}', '"schema": 0')


def truncated(text: str) -> str:
    return text[: len(text) // 2]


def nothing(_: str) -> str:
    return ""


@pytest.mark.parametrize(
    ("damage", "words"),
    [(schema_zero, "schema 0; this version reads 1 to 2"), (truncated, "truncated"), (nothing, "truncated")],
)
def test_a_record_that_cannot_be_read_is_named_on_the_page_and_the_rest_is_shown(
    store, record_file, tmp_path, capsys, damage, words
):
    record_file.write_text(damage(record_file.read_text()))
    assert report(store, tmp_path) == 1
    told = capsys.readouterr().err
    assert str(record_file) in told
    assert words in told
    for name in ("index.html", "ctr.html"):
        text = (tmp_path / "report" / name).read_text()
        assert "1 record is left out" in text
        assert str(record_file) in text
        assert words in text
    assert "left out" not in (tmp_path / "report" / "medseg.html").read_text()
    assert not (tmp_path / "report" / "runs" / f"{RUN}.html").exists()
    assert len(json.loads((tmp_path / "report" / "records.json").read_text())) == 14


def test_a_sound_store_ends_with_zero_and_no_complaint(store, tmp_path, capsys):
    assert report(store, tmp_path) == 0
    assert capsys.readouterr().err == ""
    assert "left out" not in (tmp_path / "report" / "index.html").read_text()


def test_where_nothing_can_be_read_the_page_says_so(store, tmp_path):
    for path in (tmp_path / "results").rglob("record.json"):
        path.write_text("{")
    assert report(store, tmp_path) == 1
    text = (tmp_path / "report" / "index.html").read_text()
    assert "No usable runs" in text
    assert "15 records are left out" in text


def test_tables_for_a_readme_are_not_written_over_a_gap(store, record_file, tmp_path):
    record_file.write_text("{")
    with pytest.raises(BenchmarkError, match=rf"{RUN}/record\.json.*verify"):
        report(store, tmp_path, "--table", str(tmp_path / "table.md"))
    assert not (tmp_path / "table.md").exists()


def test_of_two_records_of_one_run_that_disagree_neither_is_shown(store, record_file, tmp_path):
    shutil.copytree(tmp_path / "results", tmp_path / "other")
    record = decode(record_file.read_bytes())
    better = [msgspec.structs.replace(quality, value=0.99) for quality in record.quality]
    record_file.write_bytes(encode(msgspec.structs.replace(record, quality=better)))
    found = gather([store, Store(tmp_path / "other")])
    assert RUN not in {run.record.run_id for run in found.runs}
    assert len(found.runs) == 14
    assert [each.path for each in found.refused] == sorted(
        str(tmp_path / root / "ctr" / RUN / "record.json") for root in ("results", "other")
    )
    assert any("differs in quality; neither is used" in each.reason for each in found.refused)


def test_a_run_and_its_published_copy_agree(store, record_file, tmp_path):
    record = decode(record_file.read_bytes())
    record_file.write_bytes(encode(msgspec.structs.replace(record, overrides=["store=/home/me/results"])))
    publish(store, RUN, tmp_path / "published")
    found = gather([store, Store(tmp_path / "published")])
    assert (len(found.runs), found.refused) == (15, [])


def test_a_record_in_the_folder_of_another_run_is_refused(store, record_file, tmp_path):
    shutil.copytree(record_file.parent, record_file.parent.parent / "copy")
    record = decode(record_file.read_bytes())
    escaping = msgspec.structs.replace(record, run_id="../../escaped")
    record_file.write_bytes(encode(escaping))
    found = gather([store])
    assert sorted(each.reason.split(",")[0] for each in found.refused) == [
        "it is of run ../../escaped of task ctr",
        f"it is of run {RUN} of task ctr",
    ]
    with pytest.raises(UnreadableRecord, match="whose folder this is not"):
        collect([store])


def test_a_record_with_a_value_beyond_its_bounds_is_left_out_by_name(store, record_file, tmp_path, capsys):
    record = decode(record_file.read_bytes())
    record.quality[0].bounds = (0.0, 0.5)
    record_file.write_bytes(encode(record))
    assert report(store, tmp_path) == 1
    assert f"auc is {record.quality[0].value:.6g}, above 0.5" in capsys.readouterr().err
    assert not (tmp_path / "report" / "runs" / f"{RUN}.html").exists()
