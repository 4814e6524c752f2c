"""`tune` chooses on validation, keeps what it tried, and writes a file that later runs begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from benchmarks import runner
from benchmarks.commands import tune
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.spec import RunSpec

WORDS = [
    "task=ctr", "method=small_dim", "scale=smoke", "data.rows=4000", "model.hidden_units=[8]", "trainer.max_epochs=1",
    "trainer.progress=false", "trainer.accelerator=cpu", "trainer.threads=1",
]  # fmt: skip


@pytest.fixture
def searched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines that a search of two rates printed; no split but train and validation was read."""
    monkeypatch.setattr(runner, "evaluate", lambda *_: pytest.fail("the test split was read"))
    where = ["--store", str(tmp_path / "store"), "--folder", str(tmp_path / "tuned"), "--write"]
    assert tune.main([*WORDS, "trainer.learning_rate=1e-7,1e-2", *where]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_best_on_validation_is_first_and_is_written_with_the_search(searched: list[str], tmp_path: Path) -> None:
    assert [line.rpartition("=")[2] for line in searched[:2]] == ["0.01", "1e-07"]
    written = (tmp_path / "tuned" / "ctr_small_dim.yaml").read_text(encoding="utf-8")
    content = yaml.safe_load(written)
    assert content["trainer"] == {"learning_rate": 0.01}
    assert {key: content["tuned"][key] for key in ("budget", "metric", "data", "seed")} == {
        "budget": "2 points", "metric": "validation auc", "data": "sim_clicks", "seed": 0,
    }  # fmt: skip
    assert written.startswith("# @package _global_\n")
    assert "trainer.learning_rate=1e-7,1e-2" in written
    assert not list(Store(tmp_path / "store").records())


def test_what_was_tried_is_not_tried_again(
    searched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[float] = []

    def once(spec: RunSpec, store: Store) -> tuple[float, float]:
        made.append(spec.config["trainer"]["learning_rate"])
        return 0.99, 1.0

    monkeypatch.setattr(runner, "validate", once)
    tune.main([*WORDS, "trainer.learning_rate=1e-7,1e-2,1e-3", "--store", str(tmp_path / "store")])
    assert made == [1e-3]
    assert "0.9900" in capsys.readouterr().out.splitlines()[0]


def test_a_later_search_keeps_what_an_earlier_one_chose(
    searched: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "validate", lambda spec, store: (spec.config["trainer"]["weight_decay"], 1.0))
    where = ["--store", str(tmp_path / "store"), "--folder", str(tmp_path / "tuned"), "--write"]
    tune.main([*WORDS, "trainer.weight_decay=0.1,0.2", *where])
    written = (tmp_path / "tuned" / "ctr_small_dim.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(written)["trainer"] == {"learning_rate": 0.01, "weight_decay": 0.2}
    assert "trainer.learning_rate=1e-7,1e-2" in written


def test_the_store_may_be_typed_as_everywhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "validate", lambda spec, store: (0.5, 1.0))
    tune.main([*WORDS, "trainer.learning_rate=0.1,0.2", f"store={tmp_path / 'mine'}"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_base_that_fails_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(spec: RunSpec, store: Store) -> tuple[float, float]:
        raise runner.RunFailed("Run x failed in phase 'fit'")

    monkeypatch.setattr(runner, "validate", failing)
    with pytest.raises(BenchmarkError, match=r"base of this search failed\. Run x failed"):
        tune.main([*WORDS, "trainer.learning_rate=0.1,0.2", "--store", str(tmp_path)])


def test_every_tuned_file_states_its_search_and_is_what_its_pair_begins_with() -> None:
    files = sorted(tune.FOLDER.glob("*.yaml"))
    assert files
    for path in files:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        task, _, method = path.stem.rpartition("_")
        assert set(content["tuned"]) == {"space", "budget", "metric", "data", "seed"}
        config = RunSpec.of([f"task={task}", f"method={method}"]).config
        assert config["tuned"] == content["tuned"]
        for key, value in content["finetune"].items():
            assert config["finetune"][key] == value


def test_a_point_that_diverges_comes_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def diverging(spec: RunSpec, store: Store) -> tuple[float, float]:
        if spec.config["trainer"]["learning_rate"] > 1:
            raise ArithmeticError("the loss is nan")
        return 0.6, 1.0

    monkeypatch.setattr(runner, "validate", diverging)
    tune.main([*WORDS, "trainer.learning_rate=10,0.1", "--store", str(tmp_path)])
    assert ["nan" in line for line in capsys.readouterr().out.splitlines()] == [False, True]
    with pytest.raises(BenchmarkError, match="diverged at every point"):
        tune.main([*WORDS, "trainer.learning_rate=10,20", "--store", str(tmp_path), "--write"])


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["trainer.learning_rate=0.1"], "Nothing is searched"),
        (["seed=0,1"], "'seed' is not what a search chooses"),
        (["--faster"], "'--faster' is no setting"),
    ],
)
def test_what_cannot_be_searched_is_said(words: list[str], what: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=what):
        tune.main([*WORDS, *words, "--store", str(tmp_path)])
    assert not list(tmp_path.iterdir())
