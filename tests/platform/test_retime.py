"""`retime` lets two stored runs take turns on the clock, and `compare` pairs what came of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import profiling, provenance, runner, scoring
from benchmarks.commands import retime as command
from benchmarks.commands.retime import retime
from benchmarks.ctr.metrics import METRICS
from benchmarks.ctr.task import CTR
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.compare import compare, open_side
from benchmarks.leaderboard.compare.timing import timings
from benchmarks.leaderboard.record import decode, encode
from benchmarks.leaderboard.report.rows import Run
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.verify import verify
from benchmarks.leaderboard.worst import WORST
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec
from benchmarks.successor import commit_successor
from benchmarks.timing_worker import Worker
from benchmarks.trained import find
from toy_records import commit

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    "task=ctr", "method=none", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[8]",
    "trainer.max_epochs=1", "trainer.progress=false", "trainer.accelerator=cpu", "trainer.threads=1", "profile=fast",
    "pictures=false",
)  # fmt: skip


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Store, Store]:
    """One run in two stores, under an id of its own in each."""
    monkeypatch.setattr(CTR, "metrics", METRICS[:2])
    monkeypatch.setattr(scoring, "RESAMPLES", 20)
    monkeypatch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(profiling, "MEASURE_SECONDS", 0.0)
    monkeypatch.setattr(provenance, "_git", lambda: (None, None, None))
    base = Store(tmp_path / "base")
    record = base.get(runner.run(RunSpec.of(WORDS), base).run_id)
    shutil.copytree(base.folder(record.run_id), tmp_path / "head" / "ctr" / "other-run")
    other = msgspec.structs.replace(record, run_id="other-run", created_utc="2020-01-01T00:00:00Z")
    (tmp_path / "head" / "ctr" / "other-run" / "record.json").write_bytes(encode(other))
    return base, Store(tmp_path / "head")


def test_a_run_that_was_timed_again_is_not_the_latest_for_that(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for second, run_id in enumerate(("run-1", "run-2")):
        commit(
            store, run_id, finished_utc=f"2026-01-01T00:00:0{second}Z", created_utc="2026-01-01T00:00:00Z", key=run_id
        )
    new = commit_successor(store, store.get("run-1"), "timed again")
    assert new.created_utc > store.get("run-2").created_utc
    for record in store.records():
        (store.folder(record.run_id) / "solver" / "all").mkdir(parents=True)
    assert find(store.root, "latest").record.run_id == "run-2"


def runs(stores: tuple[Store, Store]) -> tuple[Run, Run]:
    first, second = (Run(next(iter(store.records())), store) for store in stores)
    return first, second


def test_both_sides_take_turns_and_get_a_record_with_their_blocks(stores: tuple[Store, Store]) -> None:
    before = runs(stores)
    old = [(run.store.folder(run.record.run_id) / "record.json").read_bytes() for run in before]
    asked: list[tuple[int, int]] = []
    workers = Worker(), Worker()

    def side(index: int) -> command.Ask:
        def ask(question: dict) -> dict:
            if "block" in question:
                asked.append((question["block"], index))
            return workers[index].answer(question)

        return ask

    records = retime(before, (side(0), side(1)), 11)
    assert asked[:4] == [(0, 0), (0, 1), (1, 1), (1, 0)]
    assert len(asked) == 22
    for run, record, content in zip(before, records, old, strict=True):
        assert (run.store.folder(run.record.run_id) / "record.json").read_bytes() == content
        assert record.key == run.record.key
        assert record.quality == run.record.quality
        assert (
            {file.name for file in record.files}
            == {file.name for file in run.record.files}
            >= {WORST, "replicates.npz"}
        )
        assert [(each.batch, each.form) for each in record.cost.latency_ms] == [
            (each.batch, each.form) for each in run.record.cost.latency_ms
        ]
        assert {len(each.blocks) for each in record.cost.latency_ms} == {11}
        assert f"Latency of run {run.record.run_id} timed again, in turns with run" in record.notes[-1]
        assert verify(run.store) == []
        assert run.store.find(record.key) == record
    assert len({each.session for record in records for each in record.cost.latency_ms}) == 1
    (pair,) = compare(open_side(stores[0].root, []), open_side(stores[1].root, [])).pairing.pairs
    found = timings(pair)
    assert found
    assert all(timing.paired and len(timing.before) == 11 and timing.p is not None for timing in found)


def test_a_slower_side_is_found_by_its_blocks(stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is ours: a call of the head takes 1.3 times as long, while the machine becomes slower from block to block."""
    clock, slow = [0.0], [1.0]
    predict = NetworkSolver.predict

    def timed(self: NetworkSolver, batch: dict) -> dict:
        clock[0] += 0.001 * (1 + 3 * clock[0]) * slow[0]
        return predict(self, batch)

    monkeypatch.setattr(NetworkSolver, "predict", timed)
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(profiling.time, "time", lambda: clock[0])
    workers = Worker(), Worker()

    def side(index: int, factor: float) -> command.Ask:
        def ask(question: dict) -> dict:
            slow[0] = factor
            return workers[index].answer(question)

        return ask

    retime(runs(stores), (side(0, 1.0), side(1, 1.3)), 11)
    comparison = compare(open_side(stores[0].root, []), open_side(stores[1].root, []))
    (found,) = [each for each in comparison.findings if each.kind == "latency"]
    assert comparison.exit_code == 1
    assert "11 pairs of blocks in turns" in found.text
    assert "one after the other" not in found.text
    for timing in timings(comparison.pairing.pairs[0]):
        assert timing.ratio == pytest.approx(1.3, rel=0.05)
        assert max(timing.before) > min(timing.after)  # the drift is larger than the difference, and does no harm


def test_a_run_without_a_solver_is_not_timed(stores: tuple[Store, Store]) -> None:
    chosen = runs(stores)
    shutil.rmtree(stores[1].folder("other-run") / "solver")
    with pytest.raises(BenchmarkError, match="other-run keeps no solver"):
        retime(chosen, (Worker().answer, Worker().answer), 3)
    with pytest.raises(BenchmarkError, match="both sides are run"):
        retime((chosen[0], chosen[0]), (Worker().answer, Worker().answer), 3)
    assert sum(1 for store in stores for _ in store.records()) == 2


def test_what_cannot_be_timed_is_explained_before_any_process_starts(
    stores: tuple[Store, Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("started"))
    sides = [stores[0].root, stores[1].root]
    with pytest.raises(BenchmarkError, match=r"no benchmarks/timing_worker\.py"):
        command.main([*sides, "--head-code", str(tmp_path)])
    with pytest.raises(BenchmarkError, match="whose name holds 'afm'"):
        command.main([*sides, "--row", "afm"])
    with pytest.raises(BenchmarkError, match="--rounds 0"):
        command.main([*sides, "--rounds", "0"])


@pytest.mark.slow
def test_two_processes_time_two_stores(stores: tuple[Store, Store], tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmarks", "retime", *(store.root for store in stores)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words += ["--rounds", "10", "--base-code", str(ROOT)]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "1 pairs of runs timed in 10 rounds" in done.stdout
    for store in stores:
        (record,) = [each for each in store.records() if each.notes and "timed again" in each.notes[-1]]
        assert {len(each.blocks) for each in record.cost.latency_ms} == {10}
        assert decode(encode(record)) == record
