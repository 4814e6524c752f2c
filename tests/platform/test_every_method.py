"""What holds for every method in every task that it fits; a new one is checked by being registered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from benchmarks import profiling, provenance, registry, runner, scoring
from benchmarks.datasets.bundle import DataBundle, Fold, Split
from benchmarks.datasets.open import open_bundle
from benchmarks.inference import inputs
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.models.size import unique_parameters
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec
from benchmarks.task import Task
from benchmarks.workbench import Bench
from pairs import PAIRS

SHARED = (
    "scale=smoke", "trainer.max_epochs=1", "finetune.max_epochs=1", "trainer.progress=false", "trainer.accelerator=cpu",
    "trainer.threads=1", "profile=none", "pictures=false",
)  # fmt: skip
SMALL = {
    "ctr": ("data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[32,32]", "trainer.batch_size=1024"),
    "trajectory": ("data.pedestrians=30", "model.hidden_units=[32,32]"),
    "medseg": (
        "data.subjects=10",
        "data.size=32",
        "trainer.batch_size=1",
        "trainer.learning_rate=0.1",
        "trainer.warmup_epochs=0",
        "model.channels=32",
        "model.embed_dims=[16,16,32,32]",
        "model.depths=[1,1,1,1]",
        "model.windows=[2,4,2]",
    ),
    "sparse_object": ("data.images=20", "data.size=32", "model.stages=2", "model.channels=4", "model.sparse_depth=1"),
    "hyperspectral": (
        "data.tiles=10",
        "trainer.learning_rate=0.02",
        "model.dim=16",
        "model.depth=1",
        "model.heads=2",
        "model.channel_dim=2",
    ),
    "hsi_restoration": (
        "data.size=16",
        "data.bands=12",
        "data.tile=8",
        "task.crop=8",
        "model.base=8",
        "model.mults=[1,2]",
        "model.groups=4",
    ),
    "restoration": ("data.samples=12", "data.patch=16", "data.val_samples=2", "model.width=8"),
}
"""What makes a run of each task tiny; a new task adds its line."""

RANKS = {
    "ctr": 4, "trajectory": 6, "medseg": 2, "sparse_object": 2, "hyperspectral": 2, "hsi_restoration": 3, "restoration": 2,
}  # fmt: skip
"""A rank that pays on the small network."""
LARGE_ENOUGH = 100
"""Rows from which its tables are compressed, by methods that leave small ones alone."""

SPEND, SHARES = ("colora", "iss_delta"), {"hyperspectral": 0.85}
"""Methods that spend a share of the parameters, here half of them: vectors and heads of tiny networks have more than 0.07."""
QUICK = {"colora": ("method.probe_steps=3", "method.images=2", "method.points=2")}

DRAWS_NOTHING = frozenset(
    {"stay", "constant_velocity", "kalman", "tophat", "max_median", "pcp", "ipi", "all_foreground", "all_background"}
    | {"majority", "spectral_logistic", "noisy", "svd_truncate", "svd_tv", "svd_bm3d", "bm4d", "degraded"}
)
"""Closed forms: every seed gives the same answers."""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Two metrics, few resamples, few timed calls: all that is left out has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        for task in SMALL:
            kind = registry.entry("task", task).load(Task)
            patch.setattr(kind, "metrics", kind.metrics[:2])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
        patch.setattr(profiling, "MEASURE_SECONDS", 0.0)
        patch.setattr(provenance, "_git", lambda: (None, None, None))
        patch.setattr(os, "fsync", lambda _: None)  # nothing of this is to survive the machine
        yield


Made = dict[str, tuple[NetworkSolver, Fold]]


@pytest.fixture(scope="module")
def made(quick: None) -> Iterator[Made]:
    """The solver and the last fold of every run of this module that was evaluated first, by the key of the run."""
    solvers: Made = {}
    real = runner.evaluate

    def evaluate(solver, fold, task, run):
        if not isinstance(fold, Guarded):
            solvers.setdefault(run.key, (solver, fold))
        return real(solver, fold, task, run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "evaluate", evaluate)
        yield solvers


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store in which nothing was made but from guarded data."""
    return Store(tmp_path_factory.mktemp("guarded"))


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, made: Made) -> tuple[Store, Store]:
    """Two stores that share nothing, so that their runs have to agree by themselves."""
    return Store(tmp_path_factory.mktemp("one")), Store(tmp_path_factory.mktemp("two"))


def spec(task: str, method: str, *words: str) -> RunSpec:
    settings = registry.entry("method", method).settings
    tiny = {"rank": RANKS[task], "match_rank": RANKS[task], "min_rows": LARGE_ENOUGH}
    if method in SPEND:
        tiny["share"] = SHARES.get(task, 0.5)
    sizes = [f"method.{key}={value}" for key, value in tiny.items() if settings.get(key) or key == "share"]
    # A run without a network has no settings of a model.
    own = [word for word in SMALL[task] if settings["requires"] or not word.startswith("model.")]
    return RunSpec.of([f"task={task}", *SHARED, *own, f"method={method}", *sizes, *QUICK.get(method, ()), *words])


def likewise(run: RunSpec, **changes: object) -> RunSpec:
    """The run with another seed, or made in another way, without composing it again."""
    typed = (f"{key}={value}" for key, value in changes.items())
    return RunSpec((*run.overrides, *typed), {**run.config, **changes})


@cache
def data_of(task: str) -> DataBundle:
    """The data of every run of a task here."""
    run = spec(task, next(iter(registry.methods_for(task))))
    return open_bundle(run.card.id, run.data_options, progress=False)


def weights(store: Store, record: Record) -> dict[str, torch.Tensor]:
    """All stored numbers of a run, over its folds."""
    files = sorted((store.folder(record.run_id) / runner.SOLVER).glob("*/weights.safetensors"))
    return {f"{path.parent.name}/{name}": value for path in files for name, value in load_file(path).items()}


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


class Guarded(Fold):
    """A fold whose test split may be read only while it is evaluated."""

    evaluating = False
    reads = 0

    def __init__(self, fold: Fold) -> None:
        self.__dict__.update(name=fold.name, training=fold.training, _test=fold.test)

    @property
    def test(self) -> Split:  # type: ignore[override]
        assert self.evaluating, "the test split was read before the evaluation"
        self.__dict__["reads"] = self.reads + 1
        return self.__dict__["_test"]


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_the_test_split_is_read_by_the_evaluation_alone(
    task: str, method: str, guarded: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = likewise(spec(task, method), profile="fast", pictures=True, if_exists="rerun")
    bundle = data_of(task)
    guards = tuple(Guarded(fold) for fold in bundle.folds)
    changed = DataBundle(bundle.id, bundle.fingerprint, guards)
    monkeypatch.setattr(registry.entry("task", task).load(Task), "data", lambda *_: changed)
    monkeypatch.setattr(runner, "_BUNDLES", {})
    real = runner.evaluate

    def evaluate(solver, fold, *rest):
        fold.__dict__["evaluating"] = True
        try:
            return real(solver, fold, *rest)
        finally:
            fold.__dict__["evaluating"] = False

    monkeypatch.setattr(runner, "evaluate", evaluate)
    before = len(list(guarded.records()))
    runner.check(run)
    assert runner.run(run, guarded).status == "ok"
    records = len(list(guarded.records())) - before  # with the base, where this method is the first to ask for it
    assert records
    assert [guard.reads for guard in guards] == [records] * len(guards)


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_equal_seeds_agree_bit_by_bit_and_two_seeds_differ(task: str, method: str, twins: tuple[Store, Store]) -> None:
    run = spec(task, method)
    one, two = (runner.run(run, store) for store in twins)
    other = runner.run(likewise(run, seed=1), twins[0])
    assert one.run_id != two.run_id
    assert equal(weights(twins[0], one), weights(twins[1], two))
    assert [row.value for row in one.quality] == [row.value for row in two.quality]
    same = equal(weights(twins[0], one), weights(twins[0], other))
    assert one.primary is not None
    assert other.primary is not None
    assert same == (method in DRAWS_NOTHING)
    assert (one.primary.value == other.primary.value) == same


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_a_saved_solver_answers_the_same(task: str, method: str, twins: tuple[Store, Store], made: Made) -> None:
    run = spec(task, method)
    record = runner.run(run, twins[0])
    solver, fold = made[run.key]
    loaded = NetworkSolver.load(runner.load_task(run), twins[0].folder(record.run_id) / runner.SOLVER / fold.name)
    batch = next(iter(inputs(fold.test, loaded.task).batches(100)))
    ours, theirs = solver.predict(batch), loaded.predict(batch)
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name], equal_nan=True) for name in ours)
    assert all(len(value) == len(next(iter(batch.values()))) for value in ours.values())


@pytest.mark.parametrize(
    ("task", "method"), [pair for pair in PAIRS if registry.entry("method", pair[1]).header("kind") == "compress"]
)
def test_a_compressed_network_is_smaller_and_another_one_than_its_base(
    task: str, method: str, twins: tuple[Store, Store]
) -> None:
    run = spec(task, method)
    record = runner.run(run, twins[0])
    fold = next((twins[0].folder(record.run_id) / runner.SOLVER).iterdir()).name
    base, compressed = (
        NetworkSolver.load(runner.load_task(run), twins[0].folder(each) / runner.SOLVER / fold).network
        for each in (record.base_run or "", record.run_id)
    )
    if method == "continued":
        assert unique_parameters(compressed) == unique_parameters(base)
        assert not equal(compressed.state_dict(), base.state_dict())
    else:
        assert unique_parameters(compressed) < unique_parameters(base)


ADAPTERS = [pair for pair in PAIRS if registry.entry("method", pair[1]).header("kind") == "adapt"]


def with_base(run: RunSpec, store: Store) -> tuple[NetworkSolver, NetworkSolver, Path]:
    """An adapted network, that which it started from, and the folder of the latter."""
    record, task = runner.run(run, store), runner.load_task(run)
    places = [store.folder(each) / runner.SOLVER for each in (record.run_id, record.base_run or "")]
    fold = next(places[0].iterdir()).name
    made, base = (NetworkSolver.load(task, place / fold) for place in places)
    return made, base, places[1] / fold


@pytest.mark.parametrize(("task", "method"), ADAPTERS)
def test_an_adapted_network_has_the_form_of_its_base_and_what_is_frozen_has_not_moved(
    task: str, method: str, twins: tuple[Store, Store]
) -> None:
    run = spec(task, method)
    made, base, folder = with_base(run, twins[0])
    ours, theirs = made.network.state_dict(), base.network.state_dict()
    assert {name: value.shape for name, value in ours.items()} == {name: value.shape for name, value in theirs.items()}
    attached = runner.load_method(run).attached(
        NetworkSolver.load(base.task, folder).network,
        Bench(
            run,
            base.task,
            data_of(task).folds[0],
            folder,
            lambda: ("", folder),
        ),
    )
    frozen = {name for name, parameter in attached.named_parameters() if not parameter.requires_grad}
    assert frozen
    # Weights with an update have another name while they train.
    assert all(torch.equal(ours[name], theirs[name]) for name in frozen & theirs.keys())
    moved = {name for name, _ in made.network.named_parameters() if not torch.equal(ours[name], theirs[name])}
    assert moved


@pytest.mark.parametrize(("task", "method"), ADAPTERS)
def test_an_adapter_that_is_not_trained_leaves_its_base_as_it_is(
    task: str, method: str, twins: tuple[Store, Store]
) -> None:
    attached, base, _ = with_base(spec(task, method, "finetune.max_epochs=0"), twins[0])
    assert equal(attached.network.state_dict(), base.network.state_dict())


@pytest.mark.parametrize(("task", "method"), PAIRS)
def test_a_method_without_a_network_is_one_run_whatever_the_model(task: str, method: str) -> None:
    models = registry.models_for(task)
    uses_a_network = bool(registry.entry("method", method).header("requires"))
    if uses_a_network:  # two of them, and each of them for some method
        turn = registry.methods_for(task).index(method)
        models = [models[(turn + step) % len(models)] for step in range(min(2, len(models)))]
    keys = {RunSpec.of([f"task={task}", "scale=smoke", f"method={method}", f"model={model}"]).key for model in models}
    assert len(keys) == (len(models) if uses_a_network else 1)
