"""One run from its specification to its record: named phases in one order, and every failure kept with its phase."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import numpy as np
import yaml

from benchmarks import registry
from benchmarks.datasets.bundle import DataBundle, Fold
from benchmarks.device import device_of, settle
from benchmarks.errors import BenchmarkError
from benchmarks.failures import STOPS, explain, failed
from benchmarks.inference import collect
from benchmarks.leaderboard.draft import Draft
from benchmarks.leaderboard.places import Unreachable, Unwritable, storing
from benchmarks.leaderboard.record import Cost, Record, utc_now
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.worst import PICTURED
from benchmarks.method import Method
from benchmarks.preemption import preemptible
from benchmarks.profiling import BRIEF, profile
from benchmarks.provenance import provenance
from benchmarks.scoring import Evaluation, score
from benchmarks.side_files import write_history, write_samples
from benchmarks.solver import Solver
from benchmarks.spec import RunSpec
from benchmarks.task import Task, concatenate
from benchmarks.workbench import Bench

SOLVER, PICTURES = "solver", "pictures"


class RunFailed(Exception):
    """A run that ended with a record of its failure; the text is what a user needs to know."""

    def __init__(self, text: str, record: Record | None = None) -> None:
        super().__init__(text)
        self.record = record


@dataclass
class Progress:
    """What is known of a run while it is made, so that a failure leaves all of it in the record."""

    phase: str = "begin"
    seconds: dict[str, float] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    @contextmanager
    def enter(self, phase: str, draft: Draft) -> Iterator[None]:
        """A named phase: its time is taken, and a killed process leaves its name behind."""
        self.phase = phase
        draft.enter(phase)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[phase] = self.seconds.get(phase, 0.0) + time.perf_counter() - started
            self.lines.append(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {phase}: {self.seconds[phase]:.2f} s")


def run(spec: RunSpec, store: Store) -> Record:
    """The record of a run: found in the store, or made now (by one process, where several ask for it).

    Raises BenchmarkError for a user's mistake, which leaves nothing behind, and RunFailed where the run failed, which
    leaves a record. KeyboardInterrupt leaves a record too, and the checkpoints from which the same run goes on.
    """
    choice = spec.config["if_exists"]
    if choice != "rerun" and (found := store.find(spec.key)):
        if choice == "error":
            raise BenchmarkError(
                f"Run {found.run_id} is this very run (key {spec.key}). Use if_exists=reuse or if_exists=rerun."
            )
        return found
    with store.lock(spec.key):
        found = store.find(spec.key)
        if choice in ("reuse", "skip") and found:
            return found
        with preemptible() as write:
            return _make(spec, store, utc_now(after=found.created_utc if found else None), write)


def _make(spec: RunSpec, store: Store, now: str, write: Callable[[], None]) -> Record:
    started = time.perf_counter()
    draft = store.begin(_begin(spec, now))
    progress = Progress()
    settle(spec.config["trainer"])
    try:
        record = _phases(spec, store, draft, progress)
    except (Unwritable, Unreachable):
        raise  # no mistake in the command, and hours of training may lie in the draft: the next start takes it up
    except BenchmarkError:
        draft.discard()
        raise
    except (Exception, KeyboardInterrupt, SystemExit) as error:  # every failure becomes a record
        record = failed(draft.record, progress.phase, error)
    write()
    record.cost.wall_seconds = time.perf_counter() - started
    record.finished_utc = utc_now(after=record.created_utc)
    lines = [*progress.lines, *(record.failure.traceback if record.failure else [])]
    with storing(draft.folder):
        (draft.folder / "log.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    draft.commit(record)
    if record.failure and record.failure.exception in STOPS:
        raise KeyboardInterrupt(explain(record))
    if record.failure:
        raise RunFailed(explain(record), record)
    return record


def _phases(spec: RunSpec, store: Store, draft: Draft, progress: Progress) -> Record:
    folder = draft.folder
    (folder / "config.yaml").write_text(yaml.safe_dump(spec.config, sort_keys=False), encoding="utf-8")
    with progress.enter("setup", draft):
        task = load_task(spec)
        method = load_method(spec)
    with progress.enter("data", draft):
        bundle = _bundle(task, spec)
    benches = [_bench(spec, task, fold, store, folder) for fold in bundle.folds]
    with progress.enter("fit", draft):
        for bench in benches:
            method.check(bench)
    # Only now: a user's mistake discards the draft, and what an interrupted run had reached must outlive that.
    if (resume := store.resume_folder(spec.key)) is not None:
        shutil.move(resume, folder / "checkpoints")
    samples: list[dict[str, np.ndarray]] = []
    solvers: list[Solver] = []
    for fold, bench in zip(bundle.folds, benches, strict=True):
        with progress.enter("fit", draft):
            solver = method.produce(bench)
            solver.save(folder / SOLVER / fold.name)
            solver.to(device_of(spec.config["trainer"]["accelerator"]))
        with progress.enter("evaluate", draft):
            samples.append(evaluate(solver, fold, task, spec))
        if spec.config["pictures"]:
            with progress.enter("pictures", draft):
                _draw(solver, fold, samples[-1], bench, folder / PICTURES)
        solvers = solvers or [solver]  # the one that is profiled; what the others hold of the device goes back
        del solver
    with progress.enter("score", draft):
        evaluation = score(task.metrics, concatenate(samples), "test", task.unit, task.curves)
        write_samples(folder, concatenate(samples), task, evaluation)
    with progress.enter("profile", draft):
        cost = _profile(spec, solvers[0], bundle, task, folder)
    write_history(folder, benches)
    return _complete(draft.record, spec, bundle, benches, evaluation, cost, progress)


def check(spec: RunSpec) -> None:
    """Raises BenchmarkError for what can be known to fail before the first epoch, companions' included."""
    task = load_task(spec)
    method = load_method(spec)
    for fold in _bundle(task, spec).folds:
        method.check(Bench(spec, task, fold, Path(), lambda: ("", Path())))


def validate(spec: RunSpec, store: Store) -> tuple[float, float]:
    """The primary metric that a run would reach on validation, as the mean over its folds, and the seconds of its training.

    Nothing is recorded and the test split is not read; the base is found in the store, or made there.
    """
    settle(spec.config["trainer"])
    task, method = load_task(spec), load_method(spec)
    scores, seconds = [], 0.0
    for fold in _bundle(task, spec).folds:
        with TemporaryDirectory(prefix="benchmarks-tune-") as scratch:
            bench = _bench(spec, task, fold, store, Path(scratch))
            solver = method.produce(bench)
            solver.to(device_of(spec.config["trainer"]["accelerator"]))
        histories = list(bench.histories.values())
        seconds += sum(history.seconds for history in histories)
        # An objective of the method's own was judged by its loss, which says neither what is asked nor in which direction.
        if histories and histories[-1].rows and f"val_{task.primary.name}" in histories[-1].rows[-1]:
            scores.append(histories[-1].best)
        else:
            samples = collect(solver, fold.training.val, task, spec.config["trainer"]["batch_size"])
            scores.append(task.primary.statistic(samples).value(None))
    return float(np.mean(scores)), seconds


def evaluate(solver: Solver, fold: Fold, task: Task, spec: RunSpec) -> dict[str, np.ndarray]:
    """The answers to the test split, which nothing reads before; pictures show some of it afterwards."""
    return collect(solver, fold.test, task, spec.config["trainer"]["batch_size"])


def _draw(solver: Solver, fold: Fold, samples: dict[str, np.ndarray], bench: Bench, folder: Path) -> None:
    """The task's pictures of a fold, and which units they show, for the table of the worst ones; the figures stand without
    them, so that what goes wrong is only noted."""
    folder.mkdir(exist_ok=True)
    try:
        shown = bench.task.pictures(solver, fold, samples, folder) or {}
        if units := {name: [str(unit) for unit in np.unique(samples["unit"][rows])] for name, rows in shown.items()}:
            listed = folder / Path(PICTURED).name
            earlier = msgspec.json.decode(listed.read_bytes()) if listed.is_file() else {}
            listed.write_bytes(msgspec.json.encode(earlier | units))
    except Exception as error:
        what = f"{type(error).__name__}: {error}".rstrip(": .")
        bench.note(f"Pictures of fold {fold.name} could not be drawn: {what}.")
    if not any(folder.iterdir()):
        folder.rmdir()


_BUNDLES: dict[tuple[str, str], DataBundle] = {}


def _bundle(task: Task, spec: RunSpec) -> DataBundle:
    """The data of a run; those of the last run are kept, since the runs of a sweep and companions mostly share them."""
    key = (spec.task, spec.data_fingerprint)
    if key not in _BUNDLES:
        _BUNDLES.clear()
        _BUNDLES[key] = task.data(spec.card.id, spec.data_options)
    return _BUNDLES[key]


def load_task(spec: RunSpec) -> Task:
    """The task of a run, with its settings."""
    return registry.entry("task", spec.task).load(Task)(**spec.settings("task"))


def load_method(spec: RunSpec) -> Method:
    """The method of a run; raises BenchmarkError for a setting of the wrong type or out of range."""
    kind = registry.entry("method", spec.method).load(Method)
    try:
        return msgspec.convert(spec.settings("method"), kind)
    except msgspec.ValidationError as error:
        where = str(error).rpartition("$.")[2].strip("`").partition("[")[0]
        given = spec.settings("method").get(where)
        what = str(error).split(" - at")[0]
        raise BenchmarkError(
            f"'method.{where}={given}' is not valid: {what}. Type for example {_example(spec, where)}."
        ) from None


def _example(spec: RunSpec, key: str) -> str:
    default = registry.entry("method", spec.method).settings.get(key)
    return f"method.{key}={default}".replace("'", "").replace(" ", "").replace("None", "null")


def _bench(spec: RunSpec, task: Task, fold: Fold, store: Store, folder: Path) -> Bench:
    def find_base() -> tuple[str, Path]:
        base = run(spec.base(), store)
        return base.run_id, store.folder(base.run_id) / SOLVER / fold.name

    return Bench(spec, task, fold, folder, find_base)


def _begin(spec: RunSpec, now: str) -> Record:
    name = "-".join(filter(None, (spec.method, spec.model)))
    return Record(
        run_id=f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{name}-s{spec.seed}-{uuid.uuid4().hex[:6]}",
        status="running",
        created_utc=now,
        task=spec.task,
        task_version=spec.config["task"]["version"],
        dataset=spec.card.id,
        data_fingerprint=spec.data_fingerprint,
        sample=spec.card.sample or spec.card.simulated,
        method=spec.method,
        method_version=spec.config["method"]["version"],
        model=spec.model,
        scale=spec.scale,
        protocol=spec.protocol,
        seed=spec.seed,
        tuned=spec.tuned,
        config=spec.config,
        config_hash=spec.config_hash,
        key=spec.key,
        overrides=list(spec.overrides),
    )


def _complete(record: Record, spec: RunSpec, bundle: DataBundle, benches: list[Bench], evaluation: Evaluation, cost: Cost,
              progress: Progress) -> Record:  # fmt: skip
    histories = [history for bench in benches for history in bench.histories.values()]
    cost.train_seconds = sum(history.seconds for history in histories)
    trained_now = cost.train_seconds - sum(history.resumed_seconds for history in histories)
    cost.method_seconds = progress.seconds["fit"] - trained_now - sum(bench.base_seconds for bench in benches)
    cost.eval_seconds = progress.seconds["evaluate"] + progress.seconds["score"]
    cost.epochs = sum(history.epochs for history in histories)
    if cost.params_total is not None and benches[0].trained is not None:
        cost.params_trainable = benches[0].trained  # adapters that were merged since, and frozen parts
    cost.best_epoch = histories[-1].best_epoch if histories else None
    resumed = sum(history.resumed_from for history in histories)
    notes = [
        *bundle.notes,
        *(note for bench in benches for note in bench.notes),
        *([f"Training was resumed after {resumed} epochs."] if resumed else []),
        *(history.damage for history in histories if history.damage),
    ]
    return msgspec.structs.replace(
        record,
        status="ok",
        base_run=next((bench.base_run for bench in benches), None),
        quality=evaluation.quality,
        cost=cost,
        notes=list(dict.fromkeys(notes)),
        provenance=provenance([used for bench in benches for used in bench.weights_used]),
    )


def _profile(spec: RunSpec, solver: Solver, bundle: DataBundle, task: Task, folder: Path) -> Cost:
    level = spec.config["profile"]
    if level == "none":
        return Cost()
    fold, share = bundle.folds[0], BRIEF if level == "brief" else 1.0
    return profile(solver, fold.training.val, task, folder / SOLVER / fold.name, memory=level == "full", share=share)
