"""`tune` chooses on validation, keeps what it tried, and writes a file that later runs begin with."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from benchmarks import registry, runner
from benchmarks.commands import tune
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.search import Span
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
    tune.main([*WORDS, "trainer.weight_decay=0.1,0.2,0.3", *where])
    written = (tmp_path / "tuned" / "ctr_small_dim.yaml").read_text(encoding="utf-8")
    assert "trainer.learning_rate=1e-7,1e-2" in written
    assert "trainer.weight_decay=0.1,0.2,0.3" in written
    assert "trainer.weight_decay=0.1,0.2 " not in written
    space = yaml.safe_load(written)["tuned"]["space"]
    assert tune.searched(space) == {"trainer.learning_rate", "trainer.weight_decay"}, "neither may be typed over unseen"
    assert space.count("weight_decay") == 1


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
        task = max((name for name in registry.entries("task") if path.stem.startswith(f"{name}_")), key=len)
        method = path.stem.removeprefix(f"{task}_")
        assert set(content["tuned"]) == {"space", "budget", "metric", "data", "seed"}
        config = RunSpec.of([f"task={task}", f"method={method}"]).config
        assert config["tuned"] == content["tuned"]
        for group in content.keys() - {"tuned"}:
            for key, value in content[group].items():
                assert config[group][key] == value


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
        (["trainer.learning_rate=1e-4..1e-2"], "Add --search optuna"),
        (["trainer.learning_rate=1e-2..1e-4", "--search", "optuna"], "type the smaller end first"),
        (["trainer.learning_rate=0.1,0.2", "--trials", "3"], "type --search optuna"),
        (["trainer.learning_rate=1e-4..1e-2", "--search", "optuna", "--trials", "0"], "1 or more"),
    ],
)
def test_what_cannot_be_searched_is_said(words: list[str], what: str, tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=what):
        tune.main([*WORDS, *words, "--store", str(tmp_path)])
    assert not list(tmp_path.iterdir())


def rates(spec: RunSpec, store: Store) -> tuple[float, float]:
    """A validation that knows the answer: best at a rate of 1e-3 and 8 hidden units."""
    away = (
        abs(np.log10(spec.config["trainer"]["learning_rate"]) + 3) + abs(spec.config["trainer"]["max_epochs"] - 8) / 8
    )
    return float(-away), 1.0


SEARCH = (
    "trainer.learning_rate=1e-6..1e0",
    "trainer.max_epochs=1..16",
    "trainer.optimizer=adam,sgd",
    "--search",
    "optuna",
)


def proposals(monkeypatch: pytest.MonkeyPatch, cut_after: int | None = None) -> list[tuple[float, int, str]]:
    """The settings that are validated from here on; an interrupt comes after so many."""
    made: list[tuple[float, int, str]] = []

    def validate(spec: RunSpec, store: Store) -> tuple[float, float]:
        if len(made) == cut_after:
            raise KeyboardInterrupt
        trainer = spec.config["trainer"]
        made.append((trainer["learning_rate"], trainer["max_epochs"], trainer["optimizer"]))
        return rates(spec, store)

    monkeypatch.setattr(runner, "validate", validate)
    return made


def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna", reason="the extra `search` is not installed")
    whole = proposals(monkeypatch)
    tune.main([*WORDS, *SEARCH, "--trials", "14", "--store", str(tmp_path / "whole")])
    assert len(set(whole)) == 14
    assert all(1e-6 <= rate <= 1 and 1 <= epochs <= 16 for rate, epochs, _ in whole)
    printed = capsys.readouterr().out
    cut = proposals(monkeypatch, cut_after=11)
    with pytest.raises(KeyboardInterrupt):
        tune.main([*WORDS, *SEARCH, "--trials", "14", "--store", str(tmp_path / "cut")])
    rest = proposals(monkeypatch)
    tune.main([*WORDS, *SEARCH, "--trials", "14", "--store", str(tmp_path / "cut")])
    assert [*cut, *rest] == whole
    assert len(rest) == 3
    assert capsys.readouterr().out == printed


def test_a_search_finds_what_is_best_and_writes_its_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna", reason="the extra `search` is not installed")
    made = proposals(monkeypatch)
    where = ["--store", str(tmp_path / "store"), "--folder", str(tmp_path / "tuned"), "--write"]
    tune.main([*WORDS, *SEARCH, "--trials", "40", *where])
    scores = [-abs(np.log10(rate) + 3) - abs(epochs - 8) / 8 for rate, epochs, _ in made]
    assert max(scores) > -0.5
    assert np.mean(scores[20:]) > np.mean(scores[:10]), "proposals learn from what was told"
    content = yaml.safe_load((tmp_path / "tuned" / "ctr_small_dim.yaml").read_text(encoding="utf-8"))
    assert content["tuned"]["budget"] == "40 trials of optuna's TPE"
    assert "trainer.learning_rate=1e-6..1e0" in content["tuned"]["space"]
    assert "--search optuna --trials 40" in content["tuned"]["space"]
    best = made[int(np.argmax(scores))]
    assert (content["trainer"]["learning_rate"], content["trainer"]["max_epochs"]) == best[:2]


def test_a_range_is_checked_at_its_ends_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = proposals(monkeypatch)
    words = [word for word in WORDS if not word.startswith(("method", "model"))]
    with pytest.raises(BenchmarkError, match="largest rank that pays"):
        tune.main([*words, "method=svd", "method.rank=1..5000", "--search", "optuna", "--store", str(tmp_path)])
    assert not made


def test_without_optuna_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(BenchmarkError, match=r"lowrank-benchmarks\[search\]"):
        tune.main([*WORDS, "trainer.learning_rate=1e-4..1e-2", "--search", "optuna", "--store", str(tmp_path)])


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("1e-5..1e-2", (1e-5, 1e-2, False, True)),
        ("2..64", (2, 64, True, True)),
        ("1..5", (1, 5, True, False)),
        ("0..0.5", (0, 0.5, False, False)),
        ("0.1", None),
        ("..", None),
    ],
)
def test_a_range_is_two_numbers_and_two_dots(text: str, span: tuple[float, float, bool, bool] | None) -> None:
    found = Span.of(text)
    assert (found and (found.low, found.high, found.whole, found.log)) == span
