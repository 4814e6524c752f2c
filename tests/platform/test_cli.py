"""The command line as a user meets it: help, and one paragraph an error with nothing half-written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import COMMANDS, main
from quick_runs import ALONE, QUICK, Refused

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.usefixtures("quick", "folder")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "task=ctr method=svd" in out
    assert all(command in out for command in COMMANDS)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(("typed", "nearest"), [("lst", "list"), ("reprot", "report"), ("verfy", "verify")])
def test_an_unknown_command_is_answered_with_the_nearest(typed: str, nearest: str, refused: Refused) -> None:
    assert f"Did you mean '{nearest}'?" in refused(typed)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["method.rank=0"], "method.rank=0"),
        (["method.rank=-3"], "method.rank=-3"),
        (["method.rank=abc"], "method.rank=abc"),
        (["method.rank=10000"], "largest rank that pays"),
        (["method.rank=null"], "rank, energy and budget"),
        (["method.energy=2", "method.rank=null"], "method.energy=2"),
        (["method.budget=0.0001", "method.rank=null"], "budget"),
        (["method.targets=[linar]"], "method.targets"),
        (["method.inner_activation=tanh"], "method.inner_activation=tanh"),
        (["method=afm", "method.calibration_samples=0"], "method.calibration_samples=0"),
        (["method=small_dim", "method.match_rank=10000"], "largest rank that pays"),
        (["method=svdd"], "Did you mean 'svd'?"),
        (["data=nope"], "sim_clicks"),
        (["seed=abc"], "seed=abc"),
        (["data.rows=5"], "data.rows"),
        (["data.rows=many"], "data.rows"),
        (["weights=published"], "weights=published"),
        (["weights=nowhere.safetensors"], "weights=nowhere.safetensors"),
        (["model.dropout=1.5", "method=none"], "Dropout of 1.5"),
        (["model.hidden_units=[-1]", "method=none"], "hidden_units"),
        (["seed=0,1"], "-m seed=0,1"),
        (["--nonsense"], "key=value"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_answered_before_any_training(
    words: list[str], what: str, refused: Refused, fits: list[str]
) -> None:
    chosen = {word.partition("=")[0] for word in words}
    error = refused(*(word for word in QUICK if word.partition("=")[0] not in chosen), *words)
    assert what in error
    assert "None" not in error
    assert fits == []


def test_a_mistake_in_the_last_point_of_a_sweep_costs_nothing(refused: Refused, fits: list[str]) -> None:
    assert "Did you mean 'svd'?" in refused("-m", *QUICK, "method=none,svd,svdd")
    assert fits == []


def test_several_devices_in_a_sweep_are_refused(refused: Refused) -> None:
    error = refused("-m", *QUICK, "trainer.devices=2", "seed=0,1")
    assert "trainer.devices=2" in error
    assert "seed=0" in error


def test_a_store_below_a_file_is_one_clear_error(folder: Path, refused: Refused, fits: list[str]) -> None:
    (folder / "file").write_text("")
    assert "file" in refused(*QUICK, *ALONE, "method=none", "store=file")
    assert "file/below" in refused(*QUICK, *ALONE, "method=none", "store=file/below")
    assert fits == []


def test_a_record_that_cannot_be_read_is_one_clear_error(folder: Path, refused: Refused) -> None:
    damaged = folder / "results/ctr/run-1/record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    for words in (
        (*QUICK, *ALONE, "method=none"),
        ("predict", "latest", "here.csv", "out.csv"),
        ("rescore",),
    ):
        (folder / "here.csv").write_text("a\n1\n")
        assert "record.json" in refused(*words)
    assert main(["verify"]) == 1


def test_a_report_is_built_beside_a_record_that_cannot_be_read_and_names_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = folder / "results/ctr/run-1/record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    assert main(["report"]) == 1
    assert "record.json" in capsys.readouterr().err
    assert (folder / "report/index.html").is_file()


def test_a_sweep_in_which_nothing_fits_is_refused(refused: Refused) -> None:
    assert "'stay' is made for trajectory" in refused("-m", *QUICK, "method=stay,kalman")


@pytest.mark.parametrize(
    "words", [["--cfg", "job", "scale=smoke", "seed=3"], ["scale=smoke", "seed=3", "--cfg", "job"]]
)
def test_flags_of_hydra_may_stand_before_or_behind_the_settings(words, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr
    assert "seed: 3" in shown.stdout
    assert not list(here.iterdir())
