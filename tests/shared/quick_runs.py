"""Runs on simulated clicks that take a second, and what tests ask of their stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from benchmarks import profiling, provenance, registry, runner, scoring
from benchmarks.ctr import metrics as ctr_metrics
from benchmarks.ctr.task import CTR
from benchmarks.leaderboard.record import Record
from benchmarks.leaderboard.store import Store
from benchmarks.spec import RunSpec

QUICK = (
    "task=ctr", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[32,32]",
    "trainer.batch_size=1024", "trainer.max_epochs=1", "finetune.max_epochs=1", "trainer.progress=false",
    "trainer.accelerator=cpu", "trainer.threads=1", "profile=none",
)  # fmt: skip
ALONE = ("companions=false", "report=false")
FIELDS = ["user_id", "item_id", "region", "category", "device", "hour", "position"]
Refused = Callable[..., str]


@contextmanager
def quickly() -> Iterator[None]:
    """Two metrics, few resamples, few timed calls: all that is left out has tests of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CTR, "metrics", ctr_metrics.METRICS[:2])
        patch.setattr(ctr_metrics, "METRICS", ctr_metrics.METRICS[:2])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
        patch.setattr(profiling, "MEASURE_SECONDS", 0.0)
        patch.setattr(provenance, "_git", lambda: (None, None, None))
        yield


def clicks(path: Path, rows: tuple[str, ...] = ("0,1,2,3,4,5,1",), header: str = ",".join(FIELDS)) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def spec(*words: str) -> RunSpec:
    return RunSpec.of([*QUICK, *words])


def small(method: str) -> list[str]:
    """The method with ranks that pay on the small network."""
    settings = registry.entry("method", method).settings
    return [f"method={method}", *(f"method.{key}=4" for key in ("rank", "match_rank") if settings.get(key))]


def weights(store: Store, record: Record, fold: str = "all") -> dict[str, torch.Tensor]:
    return load_file(store.folder(record.run_id) / runner.SOLVER / fold / "weights.safetensors")


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def everything(store: Store) -> list[str]:
    """All that lies in the store but its locks."""
    files = (path.relative_to(store.root) for path in Path(store.root).rglob("*") if path.is_file())
    return sorted(str(path) for path in files if path.parts[0] != ".locks")
