"""`method.budget` means one thing for every method that has it: the stored bytes of the whole network."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from benchmarks import profiling, provenance, registry, runner, scoring
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.exporting import export
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.method import Train
from benchmarks.models.size import stored_bytes
from benchmarks.runner import load_method, load_task
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec
from benchmarks.task import Task
from benchmarks.workbench import Bench

SHARED = ("scale=smoke", "trainer.max_epochs=1", "finetune.max_epochs=0", "trainer.progress=false", "trainer.threads=1",
          "profile=none", "pictures=false")  # fmt: skip
SMALL = {
    "ctr": ("data.rows=4000", "model.embedding_dim=8", "model.hidden_units=[64,64]", "trainer.batch_size=1024"),
    "trajectory": ("data.pedestrians=30", "model.hidden_units=[64,64]"),
    "medseg": (
        "data.subjects=10",
        "data.size=32",
        "trainer.batch_size=4",
        "model.channels=32",
        "model.embed_dims=[16,16,32,32]",
        "model.depths=[1,1,1,1]",
        "model.windows=[2,4,2]",
    ),
    "sparse_object": ("data.images=20", "data.size=32", "model.stages=1", "model.channels=8", "model.sparse_depth=1"),
    "hyperspectral": ("data.tiles=10", "model.dim=32", "model.heads=2", "model.depth=1"),
    "restoration": ("data.samples=8", "data.patch=16", "data.val_samples=2"),
}
SIZED = [
    (task, method)
    for task in registry.entries("task")
    for method in registry.methods_for(task)
    if "budget" in registry.entry("method", method).settings
]


def spec(task: str, method: str, *words: str) -> RunSpec:
    settings = registry.entry("method", method).settings
    sizes = ["method.min_rows=100"] if "min_rows" in settings else []
    both = ["method.targets=[linear,embedding]"] if task == "ctr" and method in ("svd", "afm") else []
    return RunSpec.of([f"task={task}", *SHARED, *SMALL[task], f"method={method}", *sizes, *both, *words])


@cache
def training_data(card: str, options: tuple):
    return open_bundle(card, dict(options), progress=False).folds[0]


def bench(made: RunSpec) -> Bench:
    fold = training_data(made.card.id, tuple(sorted(made.data_options.items())))
    return Bench(made, load_task(made), fold, Path(), lambda: ("", Path()))


def test_what_is_remembered_of_some_shots_does_not_serve_others() -> None:
    made = [spec("ctr", "svd", f"shots={shots}") for shots in (4, 16)]
    first, second = map(bench, made)
    first.base_run = second.base_run = "run-1"
    assert first.remember(("calibration",), lambda: 4) == first.remember(("calibration",), lambda: 5) == 4
    assert second.remember(("calibration",), lambda: 16) == 16


def network_of(made: RunSpec) -> nn.Module:
    """What the method trains, or makes of a fresh base."""
    at, method = bench(made), load_method(made)
    method.check(at)
    return method.build(at) if isinstance(method, Train) else method.compress(at.fresh(), at)  # type: ignore[attr-defined]


def smallest(task: str, method: str) -> int:
    """The smallest size in bytes, as the refusal of a tiny budget names it."""
    with pytest.raises(BenchmarkError, match=r"Type method\.budget=") as refused:
        network_of(spec(task, method, "method.budget=2"))
    return int(str(refused.value).split(" bytes remain")[0].split()[-1].replace(",", ""))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        for task in SMALL:
            kind = registry.entry("task", task).load(Task)
            patch.setattr(kind, "metrics", kind.metrics[:1])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(profiling, "MEASURE_SECONDS", 0.0)
        patch.setattr(provenance, "_git", lambda: (None, None, None))
        yield Store(tmp_path_factory.mktemp("store"))


def answers(store: Store, record: Record) -> dict[str, np.ndarray]:
    with np.load(store.folder(record.run_id) / "predictions.npz") as arrays:
        return dict(arrays)


@pytest.mark.parametrize(("task", "method"), SIZED)
def test_a_budget_of_the_whole_network_leaves_it_as_the_base(task: str, method: str, store: Store) -> None:
    base = runner.run(spec(task, method).base() if _starts_from_base(method) else spec(task, "none"), store)
    whole = runner.run(spec(task, method, "method.budget=1"), store)
    ours, theirs = answers(store, whole), answers(store, base)
    assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    files = [sorted((store.folder(r.run_id) / runner.SOLVER).glob("*/weights.safetensors")) for r in (whole, base)]
    for one, other in zip(*files, strict=True):
        mine, its = load_file(one), load_file(other)
        assert mine.keys() == its.keys()
        assert all(torch.equal(mine[name], its[name]) for name in its)


def _starts_from_base(method: str) -> bool:
    return registry.entry("method", method).header("kind") == "compress"


@pytest.mark.parametrize(("task", "method"), SIZED)
def test_a_network_takes_no_more_than_its_budget_and_grows_with_it(task: str, method: str) -> None:
    base = stored_bytes(bench(spec(task, method)).fresh())
    least = smallest(task, method)
    budgets = [least, (least + base) // 2, base - 1]
    sizes = [stored_bytes(network_of(spec(task, method, f"method.budget={budget}"))) for budget in budgets]
    assert sizes[0] == least
    assert all(size <= budget for size, budget in zip(sizes, budgets, strict=True))
    assert sizes == sorted(sizes)
    assert sizes[-1] > least or method == "int8"


@pytest.mark.parametrize(("task", "method"), SIZED)
def test_a_share_is_of_the_bytes_of_the_base(task: str, method: str) -> None:
    base, least = stored_bytes(bench(spec(task, method)).fresh()), smallest(task, method)
    share = round((least / base + 1) / 2, 3)
    by_share, by_bytes = (
        stored_bytes(network_of(spec(task, method, f"method.budget={budget}"))) for budget in (share, int(share * base))
    )
    assert by_share == by_bytes


@pytest.mark.parametrize(("task", "method"), SIZED)
def test_a_budget_below_the_smallest_network_is_refused_with_the_smallest(task: str, method: str) -> None:
    least = smallest(task, method)
    with pytest.raises(BenchmarkError, match=f"{least:,} bytes remain"):
        network_of(spec(task, method, f"method.budget={least - 1}"))


def test_one_calibration_serves_every_budget_of_a_base(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmarks.methods import afm

    passes = []
    real = afm.collect_input_moments
    monkeypatch.setattr(afm, "collect_input_moments", lambda *given: passes.append(1) or real(*given))
    for budget in (0.8, 0.7, 0.6):
        runner.run(spec("ctr", "afm", f"method.budget={budget}", "seed=5"), store)
    assert len(passes) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("task", "method"), SIZED)
def test_what_a_method_leaves_can_be_exported(task: str, method: str, tmp_path: Path) -> None:
    base, least = stored_bytes(bench(spec(task, method)).fresh()), smallest(task, method)
    made = spec(task, method, f"method.budget={(least + base) // 2}")
    at = bench(made)
    schema = {key: value for key, value in at.data.schema.items() if key != "counts"}
    export(NetworkSolver(at.task, network_of(made), schema), tmp_path / "network.pt2")  # which compares the answers
    assert (tmp_path / "network.pt2").is_file()
