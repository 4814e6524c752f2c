"""Fine-tuning towards the answers of the uncompressed base."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks import runner
from benchmarks.ctr.task import CTR
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.spec import RunSpec

TINY = ("scale=smoke", "trainer.max_epochs=1", "trainer.progress=false", "trainer.threads=1", "profile=none")
SMALL = ("task=ctr", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[32,32]")


def test_mixed_labels_give_the_mixed_losses() -> None:
    torch.manual_seed(0)
    logits, label, teacher = torch.randn(50), torch.randint(2, (50,)).float(), torch.rand(50)
    soft = CTR().softened({"label": label}, {"prediction": teacher}, 0.3)["label"]
    both = 0.7 * binary_cross_entropy_with_logits(logits, label) + 0.3 * binary_cross_entropy_with_logits(
        logits, teacher
    )
    torch.testing.assert_close(binary_cross_entropy_with_logits(logits, soft), both)


def test_a_distilled_network_ends_nearer_to_its_base(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def answers(*words: str) -> np.ndarray:
        record = runner.run(
            RunSpec.of([*SMALL, *TINY, "finetune.learning_rate=3e-3", "finetune.max_epochs=6", *words]), store
        )
        with np.load(store.folder(record.run_id) / "predictions.npz") as arrays:
            return arrays["prediction"]

    svd = ("method=svd", "method.rank=1")
    base, plain, distilled = answers("method=none"), answers(*svd), answers(*svd, "finetune.distill=1")
    assert np.abs(distilled - base).mean() < np.abs(plain - base).mean()


def test_a_task_without_soft_targets_says_so_before_training(tmp_path: Path) -> None:
    made = RunSpec.of(["task=trajectory", "method=svd", *TINY, "data.pedestrians=30", "finetune.distill=0.5"])
    with pytest.raises(BenchmarkError, match="cannot learn from answers of a base"):
        runner.run(made, Store(tmp_path))
    assert not list(tmp_path.glob("trajectory/*"))
