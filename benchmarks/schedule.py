"""Learning-rate schedules of the trainer, as factors of the rate by step."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

POWER = 0.9
"""Of the polynomial schedule, as segmentation has it since DeepLab (Chen et al. 2017)."""


def schedule(plan: dict[str, Any], steps: int) -> Callable[[int], float] | None:
    """The learning-rate factor at each step, or None where the rate is constant or falls by what validation says."""
    kind, epochs = plan["schedule"], max(1, plan["max_epochs"])
    floor = min(1.0, plan["min_learning_rate"] / plan["learning_rate"])
    warmup = int(steps * plan["warmup_epochs"] / epochs)

    def decay(share: float) -> float:
        if kind == "cosine":
            return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * share))
        if kind == "one_cycle":
            return max(floor, share / 0.3 if share < 0.3 else 0.5 * (1 + math.cos(math.pi * (share - 0.3) / 0.7)))
        if kind == "polynomial":
            return max(floor, (1 - share) ** POWER)
        if kind == "step":
            passed = sum(share >= milestone / epochs for milestone in plan["milestones"])
            return max(floor, plan["step_factor"] ** passed)
        return 1.0

    if kind in ("none", "plateau") and not warmup:
        return None
    return lambda step: (step + 1) / warmup if step < warmup else decay((step - warmup) / max(1, steps - warmup))
