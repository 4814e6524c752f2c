"""Hydra's launchers as engines of a sweep: each gets the numbers of points and brings back their rows.

A launcher composes nothing of ours: its jobs are `point=3` of a list that travels with the job. It gives up on all of its jobs
where a process of one dies, so what it did not bring back is launched once more, each point alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.accelerators import devices, offer
from benchmarks.errors import BenchmarkError, unknown
from benchmarks.leaderboard.sweep_table import SweepRow

Job = Callable[[Any], SweepRow]

EXTRAS = {"joblib": "joblib", "submitit_local": "submitit", "submitit_slurm": "submitit", "ray": "ray"}
"""Launchers by the extra that installs them."""
ALONE = ("submitit_local", "submitit_slurm")
"""Launchers whose jobs are processes of their own anyway: each is launched alone, so that one that dies takes no other along."""
SCHEDULED = ("submitit_slurm", "ray")
"""Launchers that give each job its devices and threads themselves."""
LONG = 7 * 24 * 60
"""Minutes after which a job on this machine is given up; the launcher's own hour would cut off longer training."""

Found = SweepRow | BaseException


def launcher_of(words: Sequence[str]) -> str | None:
    """The launcher that was typed, None for one point after the other; raises BenchmarkError for one that cannot be used."""
    typed = dict(word.lstrip("+").partition("=")[::2] for word in words)
    if "hydra/sweeper" in typed:
        raise BenchmarkError(
            f"hydra/sweeper={typed['hydra/sweeper']}: sweeps are products. To search, type: python -m benchmarks tune task=T "
            "method=M finetune.learning_rate=1e-5..1e-2 --search optuna --trials 20"
        )
    name = typed.get("hydra/launcher", "basic")
    if name == "basic":
        return None
    if name not in EXTRAS:
        raise unknown("launcher", name, ["basic", *EXTRAS], remedy="Type hydra/launcher=NAME.")
    extra = EXTRAS[name]
    if find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.hydra_{extra}_launcher") is None:
        raise BenchmarkError(f"hydra/launcher={name} is not installed. Type: pip install 'lowrank-benchmarks[{extra}]'")
    return name


def launch(
    name: str, job: Job, numbers: Sequence[int], words: Sequence[str], folder: Path
) -> Iterator[tuple[int, Found]]:
    """The row of every point, or the error that came in its place, in any order."""
    ids = [] if name in SCHEDULED else devices()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    at_once = len(ids) or cores
    environment = offer(ids, folder / "devices")
    if name not in SCHEDULED and "OMP_NUM_THREADS" not in os.environ:
        environment["OMP_NUM_THREADS"] = str(max(1, cores // min(at_once, len(numbers))))
    with _environment(environment), _engine(name, job, words, folder, at_once) as launcher:
        if name in ALONE:
            many = launcher.params.get("array_parallelism", at_once)
            yield from _side_by_side(launcher, numbers, min(many, len(numbers)))
        else:
            yield from _all_at_once(launcher, numbers)


def _all_at_once(launcher: Any, numbers: Sequence[int]) -> Iterator[tuple[int, Found]]:
    """All points in one go; where that breaks, each once more alone: what was made meanwhile is found in the store."""
    try:
        yield from zip(numbers, _rows(launcher, numbers), strict=True)
    except Exception:
        for number in numbers:
            yield number, _alone(launcher, number)


def _side_by_side(launcher: Any, numbers: Sequence[int], at_once: int) -> Iterator[tuple[int, Found]]:
    with ThreadPoolExecutor(at_once) as pool:
        waiting = {pool.submit(_alone, launcher, number): number for number in numbers}
        try:
            for done in as_completed(waiting):
                yield waiting[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _alone(launcher: Any, number: int) -> Found:
    try:
        return _rows(launcher, [number])[0]
    except Exception as error:
        return error


def _rows(launcher: Any, numbers: Sequence[int]) -> list[SweepRow]:
    returns = launcher.launch([[f"+point={number}"] for number in numbers], initial_job_idx=numbers[0])
    return [each.return_value for each in returns]


@contextmanager
def _engine(name: str, job: Job, words: Sequence[str], folder: Path, at_once: int) -> Iterator[Any]:
    """The launcher, with Hydra's own configuration and none of ours: the store owns the layout of results."""
    from hydra import version
    from hydra._internal.callbacks import Callbacks
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from hydra.types import HydraContext, RunMode

    version.setbase("1.3")
    GlobalHydra.instance().clear()
    try:
        hydra = Hydra.create_main_hydra2("benchmarks", create_config_search_path(None))
        overrides = [*_defaults(name, words, folder, at_once), *words]
        config = hydra.compose_config(None, overrides, RunMode.MULTIRUN, with_log_configuration=False)
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(config))
        yield Plugins.instance().instantiate_launcher(hydra_context=context, task_function=job, config=config)
    except HydraException as error:
        first = next(line for line in str(error).splitlines() if line.strip())
        raise BenchmarkError(f"{' '.join(words)}: {first.rstrip('.')}.") from error
    finally:
        GlobalHydra.instance().clear()


def _defaults(name: str, words: Iterable[str], folder: Path, at_once: int) -> list[str]:
    """What Hydra shall do where nothing else was typed."""
    wanted: dict[str, object] = {
        "hydra.sweep.dir": folder.absolute(), "hydra.sweep.subdir": ".", "hydra.output_subdir": "null",
        "hydra/job_logging": "none", "hydra/hydra_logging": "none",
    }  # fmt: skip
    if name == "joblib":
        wanted["hydra.launcher.n_jobs"] = at_once
    if name == "submitit_local":
        wanted["hydra.launcher.timeout_min"] = LONG
    if name == "ray" and devices():
        wanted["+hydra.launcher.ray.remote.num_gpus"] = 1
    typed = {word.lstrip("+").partition("=")[0] for word in words}
    return [f"{key}={value}" for key, value in wanted.items() if key.lstrip("+") not in typed]


@contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """What child processes inherit; also this package's place, wherever they start."""
    root = str(Path(__file__).resolve().parent.parent)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if root not in paths and (Path(root) / "pyproject.toml").is_file():
        changes = {**changes, "PYTHONPATH": os.pathsep.join([path for path in [*paths, root] if path])}
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
