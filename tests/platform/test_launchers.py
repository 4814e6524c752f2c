"""Hydra's launchers leave the records that runs one after the other leave: equal values, whoever made them where."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.launchers import EXTRAS
from benchmarks.leaderboard.store import Store

ROOT = Path(__file__).resolve().parents[2]
WORDS = (
    "task=ctr", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[32,32]",
    "trainer.batch_size=1024", "trainer.max_epochs=1", "finetune.max_epochs=1", "trainer.progress=false",
    "trainer.accelerator=cpu", "trainer.threads=1", "profile=none", "companions=false", "report=false",
)  # fmt: skip
POINTS = ("method=svd,stay", "method.rank=2,4,8", "seed=0,1,2,3")
"""Twelve runs of one method, and twelve points at which another does not fit."""

pytestmark = pytest.mark.slow


def swept(folder: Path, *words: str) -> tuple[dict[str, list[float | None]], list[dict[str, str]]]:
    """The quality of every record by the key of its run, and the rows of the sweep that made them, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks", "-m", *WORDS, *POINTS, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert "24 points: 12 ok, 12 skipped" in done.stdout
    (kept,) = folder.glob("results/.sweeps/*/sweep.csv")
    with kept.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    records = list(Store(folder / "results").records())
    assert {record.status for record in records} == {"ok"}
    assert len({record.key for record in records}) == len(records) == 12 + 4, "each base is trained once"
    return {record.key: [q.value for q in record.quality] for record in records}, rows


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[float | None]], list[dict[str, str]]]:
    """The twelve runs, one after the other in one process."""
    return swept(tmp_path_factory.mktemp("in_turn"))


@pytest.mark.parametrize("launcher", ["joblib", "submitit_local", "ray"])
def test_runs_side_by_side_are_those_of_one_process(launcher: str, tmp_path: Path, in_turn) -> None:
    extra = EXTRAS[launcher]
    if find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        pytest.skip(f"the extra `{extra}` is not installed")
    found, rows = swept(tmp_path, f"hydra/launcher={launcher}")
    expected, expected_rows = in_turn
    assert found == expected
    named = ("point", "status", "method", "seed", "value", "ci_low", "ci_high")
    assert [[row[name] for name in named] for row in rows] == [[row[name] for name in named] for row in expected_rows]


SLURM = {
    "sbatch": 'cp "$1" "$SLURM_SEEN/$$.sh"; SLURM_JOB_ID=$$ sh "$1" >"$SLURM_SEEN/$$.log" 2>&1 & echo "Submitted batch job $$"',
    "srun": """
        while [ "${1#--}" != "$1" ]; do case $1 in --output | --error) shift 2 ;; *) shift ;; esac; done
        export SLURM_NTASKS=1 SLURM_JOB_NUM_NODES=1 SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
        exec "$@" """,
    "sacct": 'echo "JobID|State|NodeList"',
}
"""A cluster of this machine: jobs begin at once, and the scheduler knows nothing of them afterwards."""


def test_slurm_is_handed_a_job_a_run_with_the_resources_that_were_typed(tmp_path: Path) -> None:
    if find_spec("hydra_plugins") is None or find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        pytest.skip("the extra `submitit` is not installed")
    for folder in ("bin", "seen"):
        (tmp_path / folder).mkdir()
    for name, lines in SLURM.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
        (tmp_path / "bin" / name).chmod(0o755)
    words = [
        *WORDS, "method=none,stay", "seed=0,1", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu",
        "hydra.launcher.gpus_per_node=1", "hydra.launcher.timeout_min=240",
    ]  # fmt: skip
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "SLURM_SEEN": str(tmp_path / "seen"),
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }  # fmt: skip
    command = [sys.executable, "-m", "benchmarks", "-m", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "4 points: 2 ok, 2 skipped" in done.stdout
    scripts = [path.read_text(encoding="utf-8") for path in (tmp_path / "seen").glob("*.sh")]
    assert len(scripts) == 2
    for asked in ("--partition=gpu", "--gpus-per-node=1", "--time=240", "--job-name=benchmarks"):
        assert all(f"#SBATCH {asked}\n" in script for script in scripts)
