"""A sweep makes every point that can be made, tells what became of each, and ends none because of another."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks import accelerators, launchers, result, runner, sweep, trainer
from benchmarks.__main__ import main
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.record import Quality
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.sweep_table import SweepRow, remarks, sweep_table, varied

QUICK = (
    "task=ctr", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[8]",
    "trainer.batch_size=1024", "trainer.max_epochs=1", "finetune.max_epochs=1", "trainer.progress=false",
    "trainer.accelerator=cpu", "trainer.threads=1", "profile=none", "companions=false", "report=false",
)  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kept(folder: Path) -> list[dict[str, str]]:
    """The rows of the last sweep, as they are kept."""
    (*_, last) = sorted(folder.glob("results/.sweeps/*/sweep.csv"), key=lambda path: path.stat().st_mtime_ns)
    with last.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of all trainings; those of seed 1 fail."""
    titles: list[str] = []
    real = trainer.fit

    def fit(*arguments: Any, title: str, **options: Any) -> Any:
        titles.append(title)
        if "seed 1" in title:
            raise ArithmeticError("the loss is NaN")
        return real(*arguments, title=title, **options)

    monkeypatch.setattr(trainer, "fit", fit)
    return titles


def test_a_point_that_fails_ends_no_other_and_is_a_row(
    folder: Path, failing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-m", *QUICK, "method=none,stay", "seed=0,1,2"]) == 1
    out = capsys.readouterr().out
    assert "6 points: 3 skipped, 2 ok, 1 failed" in out
    assert "ArithmeticError: the loss is NaN" in out
    rows = kept(folder)
    assert [row["status"] for row in rows] == ["ok", "failed", "ok", "skipped", "skipped", "skipped"]
    assert "made for trajectory" in rows[3]["reason"]
    assert [(row["method"], row["seed"]) for row in rows[2:4]] == [("none", "2"), ("stay", "0")]
    store = Store(folder / "results")
    assert [store.get(row["run_id"]).seed for row in rows if row["run_id"]] == [0, 1, 2]
    found = store.get(rows[0]["run_id"]).primary
    assert found is not None
    assert float(rows[0]["value"]) == found.value


def test_skip_leaves_alone_what_has_ended_and_reuse_makes_what_failed_again(folder: Path, failing: list[str]) -> None:
    assert main(["-m", *QUICK, "method=none", "seed=0,1"]) == 1
    assert len(failing) == 2
    assert main(["-m", *QUICK, "method=none", "seed=0,1", "if_exists=skip"]) == 0
    assert len(failing) == 2
    rows = kept(folder)
    assert [row["status"] for row in rows] == ["skipped", "skipped"]
    assert [row["reason"].split("already, ")[1].split()[0] for row in rows] == ["ok", "failed"]
    assert rows[0]["value"]
    assert main([*QUICK, "method=none", "seed=1", "if_exists=skip"]) == 0
    assert main(["-m", *QUICK, "method=none", "seed=0,1"]) == 1
    assert len(failing) == 3


def test_error_refuses_the_point_that_is_there(folder: Path, failing: list[str]) -> None:
    main([*QUICK, "method=none", "seed=0"])
    assert main(["-m", *QUICK, "method=none", "seed=0,2", "if_exists=error"]) == 1
    rows = kept(folder)
    assert [row["status"] for row in rows] == ["refused", "ok"]
    assert "if_exists=reuse" in rows[0]["reason"]


def test_the_report_is_built_once_a_sweep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Store] = []
    monkeypatch.setattr(sweep, "bring_report_up_to_date", built.append)
    monkeypatch.setattr(result, "bring_report_up_to_date", built.append)
    words = [word for word in QUICK if word != "report=false"]
    assert main(["-m", *words, "method=none", "seed=0,2"]) == 0
    assert len(built) == 1


def test_an_interrupt_ends_the_sweep_with_a_row_for_every_point(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = runner.run

    def run(spec: Any, store: Store) -> Any:
        if spec.seed == 1:
            raise KeyboardInterrupt
        return real(spec, store)

    monkeypatch.setattr(runner, "run", run)
    assert main(["-m", *QUICK, "method=none", "seed=0,1,2"]) == 130
    assert [row["status"] for row in kept(folder)] == ["ok", "interrupted", "interrupted"]


class Engine:
    """A launcher that runs jobs here; what `dies` says ends a whole launch, as the death of one process does."""

    def __init__(self, job: Callable[[Any], SweepRow], dies: Callable[[list[int]], bool]) -> None:
        self.job, self.dies, self.launched, self.params = job, dies, [], {}

    def launch(self, overrides: list[list[str]], initial_job_idx: int) -> list[Any]:
        numbers = [int(words[0].removeprefix("+point=")) for words in overrides]
        self.launched.append(numbers)
        if self.dies(numbers):
            raise RuntimeError("a worker was killed\nand more of it")
        return [type("JobReturn", (), {"return_value": self.job({"point": number})}) for number in numbers]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Engine]]:
    """Joblib's place taken by an engine in which every launch with point 1 dies."""
    made: list[Engine] = []

    @contextmanager
    def stand_in(name: str, job: Any, words: Any, folder: Path, at_once: int) -> Iterator[Engine]:
        made.append(Engine(job, lambda numbers: 1 in numbers))
        yield made[-1]

    monkeypatch.setattr(launchers, "_engine", stand_in)
    monkeypatch.setattr(sweep, "launcher_of", lambda words: "joblib")
    return made


def test_a_process_that_dies_takes_no_other_point_along(folder: Path, engine: list[Engine]) -> None:
    assert main(["-m", *QUICK, "method=none", "seed=0,1,2", "hydra/launcher=joblib"]) == 1
    assert engine[0].launched == [[0, 1, 2], [0], [1], [2]]
    rows = kept(folder)
    assert [row["status"] for row in rows] == ["ok", "lost", "ok"]
    assert rows[1]["reason"] == "RuntimeError: a worker was killed"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["hydra/sweeper=optuna"], "--search optuna"),
        (["hydra/launcher=jobblib"], "Did you mean 'joblib'?"),
    ],
)
def test_engines_that_are_not_there_are_answered_with_what_to_type(words: list[str], what: str) -> None:
    with pytest.raises(BenchmarkError) as caught:
        launchers.launcher_of(words)
    assert what in str(caught.value)


def test_a_launcher_that_is_not_installed_is_answered_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launchers, "find_spec", lambda name: None)
    with pytest.raises(BenchmarkError, match=r"pip install 'lowrank-benchmarks\[submitit\]'"):
        launchers.launcher_of(["hydra/launcher=submitit_slurm"])


def test_processes_share_out_the_devices_and_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in accelerators.offer(["2", "5"], tmp_path / "devices").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    processes: list[list[Any]] = []
    taken = []
    for _ in range(3):
        monkeypatch.setattr(accelerators, "_HELD", [])
        taken.append(accelerators.take())
        assert os.environ["CUDA_VISIBLE_DEVICES"] == taken[-1] == accelerators.take()
        processes.append(accelerators._HELD)
    assert taken == ["2", "5", "2"]
    for lock in processes[1]:
        lock.release()  # as the end of a process does
    monkeypatch.setattr(accelerators, "_HELD", [])
    assert accelerators.take() == "5"


@pytest.mark.parametrize(("visible", "ids"), [("0,3", ["0", "3"]), ("", []), ("-1", []), ("MIG-a", ["MIG-a"])])
def test_devices_are_those_that_the_environment_leaves(
    visible: str, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert accelerators.devices() == ids


def test_without_devices_nothing_is_offered_or_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(accelerators.OFFERED, raising=False)
    assert accelerators.offer([], tmp_path / "devices") == {}
    assert accelerators.take() is None
    assert not list(tmp_path.iterdir())


def point(number: int, *words: str, value: float | None = None, metric: str = "auc", status: Any = "ok") -> SweepRow:
    quality = Quality(
        metric=metric, metric_version=1, split="test", value=value, unit="", direction="max", primary=True, n=9
    )
    return SweepRow(point=number, words=list(words), status=status, primary=None if value is None else quality)


def text(rows: list[SweepRow]) -> list[list[str]]:
    from io import StringIO

    from rich.console import Console

    console = Console(file=StringIO(), width=200)
    console.print(sweep_table(rows))
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_several_tasks_are_columns_and_what_fits_none_is_no_line() -> None:
    rows = [
        point(0, "task=a", "method=x", value=0.5), point(1, "task=a", "method=y", value=0.25),
        point(2, "task=a", "method=z", status="skipped"), point(3, "task=b", "method=x", value=20.0, metric="psnr"),
        point(4, "task=b", "method=y", status="failed"), point(5, "task=b", "method=z", status="skipped"),
    ]  # fmt: skip
    assert text(rows) == [["a", "b"], ["method", "auc", "psnr"], ["x", "0.5000", "20.00"], ["y", "0.2500", "failed"]]


def test_one_task_has_a_line_a_point_with_what_differs() -> None:
    rows = [
        point(0, "task=a", "method=x", "seed=0", value=0.5),
        point(1, "task=a", "method=x", "seed=1", status="lost"),
    ]
    assert varied(rows) == ["seed"]
    assert [line[:3] for line in text(rows)] == [
        ["seed", "status", "auc"],
        ["0", "ok", "0.5000"],
        ["1", "lost", numbers.DASH],
    ]


def test_remarks_count_the_points_and_tell_every_one_that_went_wrong() -> None:
    rows = [point(0, "seed=0", value=0.5), point(1, "seed=1", status="failed")]
    rows += [SweepRow(point=i, words=["seed=2"], status="skipped", reason=f"reason {i % 3}") for i in range(2, 9)]
    assert remarks(rows)[:2] == ["9 points: 7 skipped, 1 ok, 1 failed", "failed: seed=1: "]
    assert sorted(remarks(rows)[2:]) == [f"skipped: reason {i}" for i in range(3)]
    assert len(remarks(rows, most=2)) == 2
