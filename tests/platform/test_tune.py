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
    assert yaml.safe_load(written) == {"trainer": {"learning_rate": 0.01}}
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
