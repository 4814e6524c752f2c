"""Runs from the command line: one with its companions, or a sweep of them through Hydra's launchers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.config import MODULE, expand, register
from benchmarks.errors import BenchmarkError, Misfit
from benchmarks.short_keys import spelled_out
from benchmarks.spec import FINETUNED, RunSpec

HYDRA_FLAGS = ("-m", "--multirun", "--cfg", "-c", "--info", "-i", "--hydra-help", "--package", "-p", "--resolve")


def main(argv: Sequence[str]) -> int:
    """One run, or whatever Hydra's flags ask for; returns the exit code."""
    argv = spelled_out(argv)
    if any(word.split("=")[0] in HYDRA_FLAGS for word in argv):
        return _hydra(argv)
    return run_one(argv)


def run_one(overrides: Sequence[str]) -> int:
    """A run, its companions and its result table; 1 where the run itself failed."""
    spec = RunSpec.of(overrides)
    from benchmarks.follower import FollowerStore, leads
    from benchmarks.leaderboard.store import Store
    from benchmarks.result import announce, show

    store = Store(spec.config["store"]) if leads() else FollowerStore(spec.config["store"])
    for record in store.recover():
        announce(f"An earlier run was cut off: {record.run_id} is now marked {record.status}.")
    specs = {**(spec.companions() if spec.config["companions"] else {}), "result": spec}
    found = {role: store.find(each.key) for role, each in specs.items()} if spec.config["if_exists"] == "reuse" else {}
    if found and all(found.values()):
        announce("All of this is in the store already (if_exists=rerun makes it again).")
        show(spec, {role: record for role, record in found.items() if record}, store)
        return 0
    from benchmarks import runner  # torch from here on

    runner.check(spec)
    rows, failures, failed = {}, [], set()
    for role, each in specs.items():
        if each.kind in FINETUNED and each.base().key in failed:
            announce(f"{role}: not made, because its base failed.", error=True)
            failures.append(role)
            continue
        announce(f"{role}: {' '.join(each.overrides) or 'defaults'}")
        try:
            rows[role] = runner.run(each, store)
        except runner.RunFailed as failure:
            announce(str(failure), error=True)
            failures.append(role)
            failed.add(each.key)
    if leads():
        show(spec, rows, store)
    return 1 if "result" in failures else 0


def _hydra(argv: Sequence[str]) -> int:
    """Hands over to Hydra, after every point of a sweep was checked: a typo in the last one costs nothing."""
    import hydra
    from hydra.core.hydra_config import HydraConfig

    typed_pairs = [word for word in argv if "=" in word and not word.startswith("-")]
    overrides = [word for word in typed_pairs if not word.startswith("hydra")]
    sweep = any(word in ("-m", "--multirun") for word in argv)
    points = expand(overrides) if sweep else [overrides]
    misfits = []
    for point in points:
        try:
            spec = RunSpec.of(point)
        except Misfit as problem:
            misfits.append(problem)
            continue
        if sweep and spec.config["trainer"]["devices"] > 1:
            raise BenchmarkError(
                f"trainer.devices={spec.config['trainer']['devices']} in a sweep: the processes of one run would repeat "
                f"the whole sweep. "
                f"Give each run one device, or type one run: python -m benchmarks {' '.join(point)}"
            )
    if len(misfits) == len(points):
        raise misfits[0]
    register()

    @hydra.main(config_path=f"pkg://{MODULE}", config_name="config", version_base="1.3")
    def job(_: object) -> None:
        typed = list(HydraConfig.get().overrides.task)
        try:
            failed = run_one(typed)
        except Misfit as problem:
            if not sweep:
                raise
            print(f"skipped: {' '.join(typed)}. {problem}", file=sys.stderr)
            return
        if failed:
            raise RuntimeError(f"The run {' '.join(typed)} failed; its record says why.")

    _chdir_free()
    with TemporaryDirectory(prefix="benchmarks-sweep-") as scratch:
        # Hydra takes overrides in one row only, so those that were typed behind a flag come before it.
        flags = [word for word in argv if word not in typed_pairs]
        sys.argv = [str(Path(__file__).with_name("__main__.py")), *typed_pairs, *_quiet_hydra(argv, scratch), *flags]
        try:
            job()
        except SystemExit as stop:
            return int(stop.code or 0) if not isinstance(stop.code, str) else 1
    return 0


def _quiet_hydra(argv: Sequence[str], scratch: str) -> list[str]:
    """The store owns the layout of results, so what Hydra writes of its own goes where it is removed, unless asked for."""
    wanted = {"hydra.run.dir": ".", "hydra.sweep.dir": scratch, "hydra.sweep.subdir": ".", "hydra.output_subdir": "null",
              "hydra/job_logging": "none", "hydra/hydra_logging": "none"}  # fmt: skip
    typed = {word.split("=")[0] for word in argv}
    return [f"{key}={value}" for key, value in wanted.items() if key not in typed]


def _chdir_free() -> None:
    """Child processes of launchers import this package from wherever they start."""
    import os

    root = str(Path(__file__).resolve().parent.parent)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths and (Path(root) / "pyproject.toml").is_file():
        os.environ["PYTHONPATH"] = os.pathsep.join([path for path in [*paths, root] if path])
