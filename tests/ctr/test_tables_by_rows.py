"""A run whose tables train by rows: it learns, and goes on from a checkpoint to the same end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import trainer
from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import TrainingData
from benchmarks.datasets.open import open_bundle
from benchmarks.solver import build
from benchmarks.spec import RunSpec

WORDS = ("task=ctr", "scale=smoke", "method=none", "model=fm", "trainer.tables=rowwise_adagrad", "trainer.progress=false",
         "data.rows=6000")  # fmt: skip
SPEC = RunSpec.of(WORDS)


@pytest.fixture(scope="module")
def data() -> TrainingData:
    return open_bundle(SPEC.card.id, SPEC.data_options, progress=False).folds[0].training


def trained(data: TrainingData, epochs: int, judged: list[float], checkpoints: Path | None = None) -> torch.nn.Module:
    task = CTR()
    torch.manual_seed(0)
    network = build(task, "fm", SPEC.settings("model"), data.schema)
    plan = SPEC.config["trainer"] | {"max_epochs": epochs, "accelerator": "cpu", "batch_size": 512}

    def judge(network: torch.nn.Module) -> float:
        split = data.val.columns
        with torch.no_grad():
            logits = network(torch.from_numpy(split["ids"]))
        label = torch.from_numpy(split["label"]) > 0.5
        judged.append(float((logits[label][:, None] > logits[~label][None]).float().mean()))
        return judged[-1]

    trainer.fit(network, task, data, plan, seed=0, judge=judge, title="", checkpoints=checkpoints)
    return network


def test_it_learns(data: TrainingData) -> None:
    judged: list[float] = []
    trained(data, 4, judged)
    assert max(judged) > 0.65
    assert judged[-1] > judged[0]


def test_it_goes_on_from_a_checkpoint_to_the_same_end(
    data: TrainingData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "CHECKPOINT_SECONDS", 0.0)
    whole, parts = trained(data, 3, []), []
    trained(data, 2, parts, tmp_path)
    resumed = trained(data, 3, parts, tmp_path)
    assert len(parts) == 3
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        torch.testing.assert_close(one, two)
