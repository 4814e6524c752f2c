"""An adapter leaves the suite as a file, and answers from its base as the run that trained it does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors import safe_open

from benchmarks import profiling, runner, scoring
from benchmarks.__main__ import main
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.models.lowrank.rank_plan import DENSE
from benchmarks.solver import ADAPTER, DESCRIPTION, WEIGHTS
from benchmarks.spec import RunSpec
from benchmarks.trajectory.metrics import METRICS
from benchmarks.trajectory.task import Trajectory

WORDS = ("task=trajectory", "scale=smoke", "data.pedestrians=30", "model.hidden_units=[32,32]", "trainer.max_epochs=1",
         "finetune.max_epochs=1", "trainer.progress=false", "trainer.accelerator=cpu", "trainer.threads=1", "profile=fast",
         "pictures=false")  # fmt: skip
METHODS = {
    "colora": ("method=colora", "method.share=0.5", "method.probe_steps=3", "method.images=2"),
    "pissa": ("method=pissa",),
}
Runs = dict[str, Record]
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Runs]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trajectory, "metrics", METRICS[:1])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
        patch.setattr(profiling, "MEASURE_SECONDS", 0.0)
        store = Store(tmp_path_factory.mktemp("results"))
        return store, {name: runner.run(RunSpec.of([*WORDS, *words]), store) for name, words in METHODS.items()}


@pytest.fixture
def command(
    made: tuple[Store, Runs], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{frame},{person},{frame * 0.1},{person}\n" for frame in range(8) for person in (1, 2))
    (tmp_path / "walk.csv").write_text("frame,pedestrian,x,y\n" + rows)

    def run(*words: str) -> tuple[int, str]:
        code = main([*words, "--store", str(made[0].root)])
        output = capsys.readouterr()
        return code, output.out + output.err

    return run


def test_an_exported_adapter_answers_from_its_base_as_its_own_run(
    command: Command, made: tuple[Store, Runs], tmp_path: Path
) -> None:
    run = made[1]["colora"]
    code, said = command("export", run.run_id, "walks.safetensors", "--fold", "crossing")
    assert code == 0
    size = (tmp_path / "walks.safetensors").stat().st_size
    assert f"adapter of {size:,} bytes beside a base of" in said
    assert f"predict {run.base_run} INPUT OUTPUT --adapter walks.safetensors --fold crossing" in said
    base = str(run.base_run)
    fold = ("--fold", "crossing")
    assert command("predict", run.run_id, "walk.csv", "own.csv", *fold)[0] == 0
    assert command("predict", base, "walk.csv", "base.csv", *fold)[0] == 0
    assert command("predict", base, "walk.csv", "put.csv", *fold, "--adapter", "walks.safetensors")[0] == 0
    own, put, plain = ((tmp_path / name).read_text() for name in ("own.csv", "put.csv", "base.csv"))
    assert own == put
    assert put != plain


def test_an_adapter_is_refused_by_another_base_and_writes_nothing(
    command: Command, made: tuple[Store, Runs], tmp_path: Path
) -> None:
    run = made[1]["colora"]
    command("export", run.run_id, "walks.safetensors", "--fold", "crossing")
    for words in ((str(run.base_run), "--fold", "corridor"), (run.run_id, "--fold", "crossing")):
        code, said = command("predict", words[0], "walk.csv", "out.csv", *words[1:], "--adapter", "walks.safetensors")
        assert code == 1
        assert "another base" in said
    code, said = command("predict", str(run.base_run), "walk.csv", "out.csv", "--adapter", "nowhere.safetensors")
    assert code == 1
    assert "nowhere.safetensors is no adapter" in said
    assert not (tmp_path / "out.csv").exists()


def test_a_run_without_an_adapter_of_its_own_says_so(
    command: Command, made: tuple[Store, Runs], tmp_path: Path
) -> None:
    for run, method in ((made[1]["pissa"].run_id, "pissa"), (str(made[1]["colora"].base_run), "eigentrajectory")):
        code, said = command("export", run, "none.safetensors")
        assert code == 1
        assert f"method '{method}' keeps no adapter" in said
    assert not (tmp_path / "none.safetensors").exists()


def test_plan_and_scores_are_kept_with_the_network_and_in_the_file(made: tuple[Store, Runs]) -> None:
    store, runs = made
    run = runs["colora"]
    for folder in (store.folder(run.run_id) / "solver").iterdir():
        kept = json.loads((folder / DESCRIPTION).read_text())["adapted"]
        assert kept["allocation"] == "contribution"
        assert kept["plan"].keys() == kept["scores"].keys()
        assert all(rank == DENSE or rank >= 0 for rank in kept["plan"].values())
        with safe_open(folder / ADAPTER, "pt") as file:
            assert json.loads(file.metadata()["made"])["plan"] == kept["plan"]
            numbers = sum(file.get_tensor(name).numel() for name in file.keys())  # noqa: SIM118 - no mapping
        assert numbers == kept["trained"]


def test_costs_are_those_of_the_merged_network_and_the_adapter_stands_beside_them(made: tuple[Store, Runs]) -> None:
    store, runs = made
    run = runs["colora"]
    folder = next(iter(sorted((store.folder(run.run_id) / "solver").iterdir())))
    assert run.cost.bytes_stored == (folder / WEIGHTS).stat().st_size
    assert run.cost.bytes_adapter == (folder / ADAPTER).stat().st_size
    assert runs["pissa"].cost.bytes_adapter is None
    notes = " ".join(run.notes)
    for said in (
        "3 steps",
        "2 training samples",
        "Mean contribution",
        f"{run.cost.params_trainable:,} parameters train",
    ):
        assert said in notes
    assert run.cost.epochs is not None
    assert run.cost.epochs > 2 * 1  # two folds, and the probe's epochs as well
