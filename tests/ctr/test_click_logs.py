"""The command line on a click log that is read from a store: a run, its record, and an answer to a file of one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.leaderboard.store import Store

RUN = ["task=ctr", "data=criteo_sample", "method=none", "model=lr", "trainer.max_epochs=1", "report=false"]


def test_a_run_on_a_sample_is_marked_and_answers_a_file(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*RUN, "trainer.progress=false"]) == 0
    (record,) = Store("results").records(status="ok")
    assert record.sample  # the report ranks no sample
    assert any("each impression is a unit" in note for note in record.notes)
    assert {row.metric for row in record.quality if row.value is None} == {"gauc", "ndcg@10", "mrr", "map"}
    described = json.loads((Store("results").folder(record.run_id) / "solver/all/solver.json").read_text())
    columns = described["schema"]["fields"]
    cells = (mirror / "criteo_sample/lapis_test.csv").read_text().split("\n")[0].split("\t")[1:]
    (tmp_path / "in.csv").write_text(",".join(columns) + "\n" + ",".join(cells) + "\n")
    assert main(["predict", "latest", "in.csv", "out.csv"]) == 0
    answer = float((tmp_path / "out.csv").read_text().splitlines()[1].rpartition(",")[2])
    assert 0 < answer < 1
