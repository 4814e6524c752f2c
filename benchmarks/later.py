"""Settings that came after runs were published, so that older runs and newer ones stay one row."""

from __future__ import annotations

from typing import Any

LATER: dict[str, Any] = {
    "shots": None,
    "trainer.beta2": 0.999,
    "trainer.step_factor": 0.1,
    "trainer.tables": "dense",
    "trainer.table_learning_rate": 1e-2,
    "trainer.validate_every": 1,
    "finetune.head_learning_rate": None,
    "finetune.distill": 0.0,
    "finetune.batch_size": None,
    "finetune.warmup_epochs": None,
    "finetune.gradient_clip": None,
    "task.bce": 0.0,
    "task.crop": 0,
    "task.positives": 0.5,
    "task.deep_supervision": 0.0,
    "task.lowrank_penalty": 0.0,
    "task.spectra": "standardised",
    "model.checkpoint": False,
    "data.colour": False,
    "data.shrink": 1,
    "data.unit": "image",
    "model.first_order": False,
    "model.project_residual": False,
    "model.share_bilinear": True,
    "method.layers": ["*"],
    "method.sequential": False,
    "method.latency": None,
    "method.latency_batch": 256,
    "method.start_noise": 1.0,
    "method.search": 39,
    "method.reach": 7,
    "method.stages": 2,
}
"""Each key with the value that runs were made with before it was there: at it the key is left out of a run's hash."""
