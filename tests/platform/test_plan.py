"""Plans: every run once, those of one base together, the same cut on every machine."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from benchmarks.commands.plan import main
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.plan import listed, published, repeatable, shards, sweep
from benchmarks.spec import RunSpec

SMOKE = ("task=ctr", "scale=smoke")


def test_a_sweep_is_all_points_that_fit_and_says_what_does_not():
    plan = sweep([*SMOKE, "method=none,svd,constant_velocity", "seed=0,1"])
    assert [(spec.method, spec.seed) for spec in plan.specs] == [("none", 0), ("none", 1), ("svd", 0), ("svd", 1)]
    assert len(plan.left_out) == 2
    assert "constant_velocity" in plan.left_out[0]


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_every_run_is_in_one_shard_and_runs_of_one_base_are_together(count):
    specs = sweep([*SMOKE, "method=none,svd,continued", "seed=0,1,2"]).specs
    parts = shards(specs, count)
    assert len(parts) == count
    assert sorted(spec.key for part in parts for spec in part) == sorted(spec.key for spec in specs)
    for part in parts:
        assert len(part) % 3 == 0
        assert all(
            {spec.method for spec in part if spec.seed == seed} in ({"none", "svd", "continued"}, set())
            for seed in range(3)
        )
    assert [[spec.key for spec in part] for part in shards(specs, count)] == [
        [spec.key for spec in part] for part in parts
    ]


def test_the_matrix_names_shards_that_are_not_empty(capsys):
    assert main([*SMOKE, "method=none,svd", "seed=0,1", "--shards", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"include": [{"shard": 1, "runs": 2}, {"shard": 2, "runs": 2}]}


def test_the_list_of_a_plan_is_a_file_of_the_same_plan(tmp_path, capsys):
    assert main([*SMOKE, "method=none,svd", "model.hidden_units=[32,32]", "--shards", "2"]) == 0
    (tmp_path / "runs.txt").write_text(capsys.readouterr().out)
    keys = {spec.key for spec in sweep([*SMOKE, "method=none,svd", "model.hidden_units=[32,32]"]).specs}
    assert {spec.key for spec in listed(tmp_path / "runs.txt").specs} == keys


def record_of(spec: RunSpec, run_id: str, *typed: str, key: str | None = None) -> Record:
    return Record(
        run_id=run_id, status="running", created_utc="2026-01-01T00:00:00Z", task=spec.task, task_version=1,
        dataset=spec.card.id, data_fingerprint=spec.data_fingerprint, method=spec.method, model=spec.model, scale=spec.scale,
        seed=spec.seed, config=spec.config, config_hash=spec.config_hash, key=key or spec.key,
        overrides=[*spec.overrides, *typed],
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two runs that can be made again, one of them twice, and one whose command means something else today."""
    store = Store(tmp_path / "published")
    none, svd = RunSpec.of([*SMOKE, "method=none"]), RunSpec.of([*SMOKE, "method=svd"])
    for record in (
        record_of(none, "a", "store=/somewhere", "trainer.accelerator=cuda", "trainer.threads=3", "report=False"),
        record_of(svd, "b"),
        record_of(svd, "c", "if_exists=rerun"),
        record_of(svd, "d", key="0" * 24),
        msgspec.structs.replace(record_of(svd, "e"), overrides=[*SMOKE, "method=none", "weights=../mine.safetensors"]),
    ):
        store.begin(record).commit(msgspec.structs.replace(record, status="ok"))
    return store


def test_published_runs_are_planned_once_without_where_they_were_made(store):
    plan = published(store, [])
    assert [spec.overrides for spec in plan.specs] == [(*SMOKE, "method=none"), (*SMOKE, "method=svd")]
    assert [line.partition(":")[0] for line in plan.left_out] == ["d", "e"]
    assert "mine.safetensors cannot be read" in plan.left_out[1]
    assert [spec.method for spec in published(store, ["method=svd", "seed=0,1"]).specs] == ["svd"]
    with pytest.raises(BenchmarkError, match="rank=4"):
        published(store, ["rank=4"])


def test_what_is_repeated_keeps_every_number():
    typed = ["task=ctr", "trainer.max_epochs=3", "finetune.learning_rate=1e-3", "seed=4", "weights=published"]
    assert repeatable([*typed, "trainer.devices=2", "store=x", "companions=False", "trainer.progress=false"]) == typed


def test_what_a_store_lacks_is_listed_and_fails(store, capsys):
    words = [*SMOKE, "method=none,svd"]
    assert main([*words, "--lacking", store.root]) == 0
    assert capsys.readouterr().out == ""
    assert main([*words, "seed=0,1", "--lacking", store.root]) == 1
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == ["seed=1", "seed=1"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "Say what to plan"),
        ([*SMOKE, "method=svdd"], "Did you mean 'svd'"),
        ([*SMOKE, "--shards", "0"], "--shards 0"),
        ([*SMOKE, "--run", "2"], "--run 2"),
        ([*SMOKE, "--rum", "2"], "--rum"),
        (["task=ctr", "method=constant_velocity"], "holds no run"),
        (["--file", "nowhere.txt"], "nowhere.txt"),
        (["--file", "nowhere.txt", "task=ctr"], "beside --file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_explained(words, what):
    with pytest.raises(BenchmarkError, match=what):
        main(words)


def test_a_line_with_an_open_quotation_is_named(tmp_path):
    (tmp_path / "runs.txt").write_text("task=ctr method=svd\n\ntask=ctr method='svd\n", encoding="utf-8")
    with pytest.raises(BenchmarkError, match=r"line 3 of .*runs\.txt cannot be read: No closing quotation"):
        main(["--file", str(tmp_path / "runs.txt")])


def test_the_repositorys_own_records_can_be_planned(capsys):
    assert main(["--published", "task=ctr", "method=svd", "seed=2021", "--shards", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["include"]
