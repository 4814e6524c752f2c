"""What holds for every model of the task; a new one is checked by being registered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import profiling, provenance, registry, runner, scoring
from benchmarks.ctr.task import CTR
from benchmarks.inference import inputs
from benchmarks.leaderboard.store import Store
from benchmarks.models.ctr.build import build as network_of
from benchmarks.models.lowrank.surgery import blueprint, linear_units
from benchmarks.models.size import unique_parameters
from benchmarks.solver import NetworkSolver, build
from benchmarks.spec import RunSpec

SHARED = (
    "task=ctr", "scale=smoke", "data.rows=4000", "trainer.batch_size=1024", "trainer.max_epochs=1", "finetune.max_epochs=1",
    "trainer.progress=false", "trainer.accelerator=cpu", "trainer.threads=1", "profile=none",
)  # fmt: skip
SMALL = {
    "embedding_dim": 4, "hidden_units": [32, 32], "second_hidden_units": [16], "gate_hidden_units": [32], "heads": 2,
    "attention_layers": 2, "attention_dim": 16, "cross_layers": 2, "cin_maps": [8], "blocks": 2, "block_dim": 8,
}  # fmt: skip
"""What makes the networks small; each takes the settings that it has."""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Two metrics and few resamples: all that is left out has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CTR, "metrics", CTR.metrics[:2])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
        patch.setattr(profiling, "MEASURE_SECONDS", 0.0)
        patch.setattr(provenance, "_git", lambda: (None, None, None))
        yield


@pytest.mark.parametrize("model", registry.models_for("ctr"))
def test_it_trains_is_compressed_where_it_has_layers_for_it_and_is_loaded_as_it_was_saved(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list = []
    real = runner.evaluate

    def evaluate(solver, fold, *rest):
        made.append((solver, fold))
        return real(solver, fold, *rest)

    monkeypatch.setattr(runner, "evaluate", evaluate)
    dense = network_of(model, (5, 9, 3))
    compressible = bool(linear_units(dense, dense.keep_dense))
    settings = registry.entry("model", model).settings
    small = [f"model.{key}={value}".replace(" ", "") for key, value in SMALL.items() if key in settings]
    method = ["method=svd", "method.rank=4"] if compressible else ["method=none"]
    spec, store = RunSpec.of([*SHARED, f"model={model}", *small, *method]), Store(tmp_path / "results")

    record = runner.run(spec, store)
    assert record.status == "ok"
    solver, fold = made[-1]
    network = solver.network
    fresh = build(solver.task, model, spec.settings("model"), solver.schema)
    if compressible:
        layers = blueprint(network)
        assert {layer["name"] for layer in layers} == set(linear_units(fresh, fresh.keep_dense))
        assert {layer["kwargs"]["rank"] for layer in layers} == {4}
        assert unique_parameters(network) < unique_parameters(fresh)
    base = (made[0][0] if compressible else solver).network
    torch.manual_seed(spec.seed)
    start = build(solver.task, model, spec.settings("model"), solver.schema)
    for (key, before), after in zip(start.named_parameters(), base.parameters(), strict=True):
        assert not torch.equal(before, after), f"{key} did not move"

    loaded = NetworkSolver.load(solver.task, store.folder(record.run_id) / runner.SOLVER / fold.name)
    batch = next(iter(inputs(fold.test, loaded.task).batches(100)))
    np.testing.assert_array_equal(loaded.predict(batch)["prediction"], solver.predict(batch)["prediction"])
