"""Runs from the command line: one with its companions, a sweep of them, or what Hydra tells of a configuration."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.config import MODULE, register
from benchmarks.errors import BenchmarkError
from benchmarks.spec import RunSpec

SWEEP_FLAGS = ("-m", "--multirun")
HYDRA_FLAGS = ("--cfg", "-c", "--info", "-i", "--hydra-help", "--package", "-p", "--resolve")


def main(argv: Sequence[str]) -> int:
    """One run, a sweep, or whatever Hydra's flags ask for; returns the exit code."""
    if any(word.split("=")[0] in HYDRA_FLAGS for word in argv):
        return _hydra(argv)
    if any(word in SWEEP_FLAGS for word in argv):
        from benchmarks.sweep import main as sweep

        return sweep(argv)
    return run_one(argv)


def run_one(overrides: Sequence[str]) -> int:
    """A run, its companions and its result table; 1 where the run itself failed."""
    spec = RunSpec.of(overrides)
    from benchmarks.follower import FollowerStore, leads
    from benchmarks.leaderboard.store import Store
    from benchmarks.result import announce, show
    from benchmarks.together import RESULT, AlreadyThere, together

    store = Store(spec.config["store"]) if leads() else FollowerStore(spec.config["store"])
    for record in store.recover():
        announce(f"An earlier run was cut off: {record.run_id} is now marked {record.status}.")
    try:
        made = together(spec, store)
    except AlreadyThere as there:
        announce(f"skipped: {there}")
        return 0
    if leads():
        show(spec, made.rows, store)
    return 1 if RESULT in made.failures else 0


def _hydra(argv: Sequence[str]) -> int:
    """Hands over to Hydra what only it answers, such as `--cfg job`; settings are checked first."""
    import hydra

    typed_pairs = [word for word in argv if "=" in word and not word.startswith("-")]
    RunSpec.of([word for word in typed_pairs if not word.startswith("hydra")])
    register()

    @hydra.main(config_path=f"pkg://{MODULE}", config_name="config", version_base="1.3")
    def job(_: object) -> None:
        raise BenchmarkError(
            f"{' '.join(argv)}: Hydra had nothing to show. `python -m benchmarks --help` shows examples."
        )

    # Hydra takes overrides in one row only, so those that were typed behind a flag come before it.
    flags = [word for word in argv if word not in typed_pairs]
    sys.argv = [str(Path(__file__).with_name("__main__.py")), *typed_pairs, *_quiet_hydra(argv), *flags]
    try:
        job()
    except SystemExit as stop:
        return int(stop.code or 0) if not isinstance(stop.code, str) else 1
    return 0


def _quiet_hydra(argv: Sequence[str]) -> list[str]:
    """Nothing is made and nothing written."""
    wanted = {"hydra.run.dir": ".", "hydra.output_subdir": "null", "hydra/job_logging": "none",
              "hydra/hydra_logging": "none"}  # fmt: skip
    typed = {word.split("=")[0] for word in argv}
    return [f"{key}={value}" for key, value in wanted.items() if key not in typed]
