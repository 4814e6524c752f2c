"""An exported network answers as the network does, for any batch; what cannot be exported leaves nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import exporting, runner, scoring
from benchmarks.__main__ import main
from benchmarks.ctr.task import CTR
from benchmarks.errors import BenchmarkError
from benchmarks.exporting import SCHEMA, export
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.models.lowrank.layers import LowRankLinear
from benchmarks.models.lowrank.surgery import replace_module
from benchmarks.restoration.task import Restoration
from benchmarks.solver import NetworkSolver, build
from benchmarks.spec import RunSpec
from benchmarks.task import Batch, Task
from benchmarks.trajectory.metrics import METRICS
from benchmarks.trajectory.task import Trajectory

SPACE = {"obs_rank": 4, "rank": 5, "samples": 3, "classes": 2}


def clicks() -> NetworkSolver:
    """A small DeepFM with a low-rank layer."""
    schema = {"cardinalities": [11, 7, 5], "fields": ["user", "item", "hour"]}
    task = CTR()
    settings = {"embedding_dim": 4, "hidden_units": [8, 8], "regularizer": 0.0}
    network = build(task, "deepfm", settings, schema)
    replace_module(network, "mlp.hidden.1.linear", LowRankLinear(8, 8, 2))
    return NetworkSolver(task, network, schema)


def paths(name: str = "mlp", **settings: object) -> NetworkSolver:
    """A small forecaster in which nothing is zero."""
    schema = {"obs_len": 8, "pred_len": 12, "step_seconds": 0.4, "scene": "square", "static_distance": 0.3}
    task = Trajectory()
    network = build(task, name, settings, schema)
    torch.manual_seed(0)
    with torch.no_grad():
        for value in [*network.parameters(), *network.buffers()]:
            if value.is_floating_point() and name != "cv_sampling":
                value.normal_(std=0.3)
        if name != "cv_sampling":
            network.threshold.fill_(0.3)
    return NetworkSolver(task, network, schema)


def photographs() -> NetworkSolver:
    """A small NAFNet in which nothing is zero."""
    schema, task = {"height": 18, "width": 22}, Restoration()
    network = build(task, "nafnet_tiny", {"width": 8, "encoder": [1], "middle": 1, "decoder": [1]}, schema)
    torch.manual_seed(0)
    for name, value in network.named_parameters():
        if name.endswith(("beta", "gamma")):
            torch.nn.init.normal_(value, std=0.3)
    return NetworkSolver(task, network, schema)


SOLVERS: dict[str, Callable[[], NetworkSolver]] = {
    "deepfm": clicks,
    "mlp": lambda: paths(hidden_units=[8], space=SPACE),
    "coordinates": lambda: paths(hidden_units=[8]),
    "social": lambda: paths("social", width=8, heads=2, hidden_units=[8], space=SPACE),
    "noise": lambda: paths("cv_sampling"),
    "nafnet": photographs,
}


@pytest.mark.parametrize("name", SOLVERS)
def test_a_program_answers_as_the_network_for_any_batch(name: str, tmp_path: Path) -> None:
    solver, path = SOLVERS[name](), tmp_path / "network.pt2"
    said = export(solver, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.pt2"]
    extra = {SCHEMA: ""}
    program = torch.export.load(path, extra_files=extra).module()
    assert json.loads(extra[SCHEMA]) == solver.schema
    for size in (1, 2, 40):
        batch = solver.task.example(solver.schema, size)
        expected = solver.predict({key: value.numpy() for key, value in batch.items()})
        found = program(**batch)
        assert list(found) == list(expected)
        for key, value in expected.items():
            np.testing.assert_allclose(found[key].detach().numpy(), value, atol=1e-5)
            assert f"{key} float32 [batch" in said


@pytest.mark.parametrize("name", ["deepfm", "mlp", "social"])
def test_an_onnx_model_answers_as_the_network_for_any_batch(name: str, tmp_path: Path) -> None:
    for package in exporting.ONNX_PACKAGES:
        pytest.importorskip(package)
    import onnxruntime

    solver, path = SOLVERS[name](), tmp_path / "network.onnx"
    export(solver, path)
    assert [file.name for file in tmp_path.iterdir()] == ["network.onnx"]
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert json.loads(session.get_modelmeta().custom_metadata_map["schema"]) == solver.schema
    assert {entry.shape[0] for entry in [*session.get_inputs(), *session.get_outputs()]} == {"batch"}
    for size in (1, 40):
        batch = {key: value.numpy() for key, value in solver.task.example(solver.schema, size).items()}
        for output, value in solver.predict(batch).items():
            np.testing.assert_allclose(session.run([output], batch)[0], value, atol=1e-4)


def test_missing_onnx_packages_are_named_with_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None if name != "onnx" else object())
    with pytest.raises(BenchmarkError, match="pip install onnxscript onnxruntime"):
        export(clicks(), tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "network.pt2").write_bytes(b"old")
    monkeypatch.setattr(exporting, "TOLERANCE", -1.0)
    with pytest.raises(BenchmarkError, match="'prediction' for a batch of 1 differs"):
        export(clicks(), tmp_path / "network.pt2")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"network.pt2": b"old"}


def test_a_network_that_depends_on_values_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def undecided(self: CTR, network: torch.nn.Module, batch: Batch) -> Batch:
        return {"prediction": network(batch["ids"]) if batch["ids"].sum() > 10 else batch["ids"][:, 0].float()}

    monkeypatch.setattr(CTR, "predict", undecided)
    with pytest.raises(BenchmarkError, match="cannot be exported"):
        export(clicks(), tmp_path / "network.pt2")
    assert not list(tmp_path.iterdir())


def test_a_task_without_an_example_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CTR, "example", Task.example)
    with pytest.raises(BenchmarkError, match=r"Task\.example"):
        export(clicks(), tmp_path / "network.pt2")


@pytest.mark.parametrize("name", SOLVERS)
def test_examples_are_equal_each_time_and_as_large_as_asked(name: str) -> None:
    solver = SOLVERS[name]()
    one, two = (solver.task.example(solver.schema, 5) for _ in range(2))
    assert all(len(value) == 5 and torch.equal(value, two[key]) for key, value in one.items())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Record]:
    """A run of a trajectory baseline with the two folds of the simulated crowd, which needs no mirror to train."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trajectory, "metrics", METRICS[:1])
        patch.setattr(scoring, "RESAMPLES", 20)
        store = Store(tmp_path_factory.mktemp("results"))
        words = ["task=trajectory", "task.mirror=false", "method=constant_velocity", "scale=smoke", "data.pedestrians=30",
                 "profile=none", "pictures=false", "trainer.threads=1"]  # fmt: skip
        return store, runner.run(RunSpec.of(words), store)


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(
    made: tuple[Store, Record], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Types a command in an empty folder on the store of that run; gives the exit code and all that was printed."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str]:
        code = main([*words, "--store", str(made[0].root)])
        output = capsys.readouterr()
        return code, output.out + output.err

    return run


def test_a_run_is_exported_and_the_fold_is_said(command: Command, tmp_path: Path) -> None:
    code, said = command("export", "latest", "forecast.pt2")
    assert code == 0
    assert "obs float32 [batch, 8, 2], group int64 [batch] -> forecast float32 [batch, 1, 12, 2]" in said
    assert "fold corridor (--fold also takes crossing)" in said
    code, said = command("export", "latest", "forecast.pt2", "--fold", "crossing")
    assert code == 0
    assert "fold crossing" in said
    forecast = torch.export.load(tmp_path / "forecast.pt2").module()
    walk = torch.arange(8.0)[None, :, None].repeat(1, 1, 2)
    ahead = forecast(obs=walk, group=torch.zeros(1, dtype=torch.long))["forecast"]
    torch.testing.assert_close(ahead[0, 0, :, 0], torch.arange(8.0, 20.0))


def test_a_prediction_is_made_by_the_fold_that_is_named(command: Command, tmp_path: Path) -> None:
    rows = "".join(f"{frame},{person},{frame * 0.1},{person}\n" for frame in range(8) for person in (1, 2))
    (tmp_path / "walk.csv").write_text("frame,pedestrian,x,y\n" + rows)
    assert command("predict", "latest", "walk.csv", "first.csv")[1].startswith("2 predictions in first.csv")
    assert "fold crossing" in command("predict", "latest", "walk.csv", "out.csv", "--fold", "crossing")[1]
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "first.csv").read_bytes()  # nothing is learnt here
    code, said = command("predict", "latest", "walk.csv", "none.csv", "--fold", "crosing")
    assert code == 1
    assert "Did you mean 'crossing'?" in said


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("latest", "network.pt"), "must end in .pt2, .onnx or .safetensors"),
        (("latest", "nowhere/network.pt2"), "in a folder that exists"),
        (("nope", "network.pt2"), "nope"),
        (("latest", "network.pt2", "--fold", "coridor"), "Did you mean 'corridor'?"),
    ],
    ids=str,
)
def test_a_mistake_is_explained_and_leaves_nothing(
    words: tuple[str, ...], what: str, command: Command, tmp_path: Path
) -> None:
    code, said = command("export", *words)
    assert code == 1
    assert said.startswith("error: ")
    assert what in said
    assert not list(tmp_path.iterdir())


def test_a_run_that_answers_without_a_network_cannot_be_exported(
    made: tuple[Store, Record], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store, record = made
    copy = shutil.copytree(store.folder(record.run_id), tmp_path / "run")
    for description in copy.rglob("solver.json"):
        description.unlink()
    assert main(["export", str(copy), str(tmp_path / "network.pt2"), "--store", str(store.root)]) == 1
    assert "without a network" in capsys.readouterr().err
    assert not (tmp_path / "network.pt2").exists()


def test_a_run_is_loaded_with_the_settings_of_its_task(made: tuple[Store, Record]) -> None:
    from benchmarks.trained import find

    task = find(str(made[0].root), "latest").load().task
    assert isinstance(task, Trajectory)
    assert task.mirror is False
