"""How the learning rate goes: each schedule by its equation, warm-up, and the plateau's steps."""

from __future__ import annotations

import math

import pytest

from line_task import Script, line, rates, rising, train

pytestmark = pytest.mark.usefixtures("one_thread")
FLOOR = 1e-3
"""The least rate as a share of the first."""


def expected(kind: str, share: float) -> float:
    return {
        "none": 1.0,
        "cosine": FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * share)),
        "polynomial": (1 - share) ** 0.9,
        "one_cycle": share / 0.3 if share < 0.3 else 0.5 * (1 + math.cos(math.pi * (share - 0.3) / 0.7)),
        "step": 0.3 if share >= 0.5 else 1.0,
    }[kind]


@pytest.mark.parametrize("kind", ["none", "cosine", "one_cycle", "step", "polynomial"])
def test_schedules_follow_their_equation(kind: str) -> None:
    """The rate noted after epoch e is that of the next step, e * 4 of 16."""
    steps = {"milestones": [2], "step_factor": 0.3}
    history = train(line(), rising(), schedule=kind, **steps, max_epochs=4, min_learning_rate=0.01 * FLOOR)
    wanted = [0.01 * max(FLOOR, expected(kind, epoch / 4)) for epoch in (1, 2, 3, 4)]
    assert rates(history) == pytest.approx(wanted)


def test_a_warm_up_rises_linearly() -> None:
    history = train(line(), rising(), warmup_epochs=2, max_epochs=4)
    assert rates(history) == pytest.approx([0.01 * 5 / 8, 0.01, 0.01, 0.01])


def test_a_plateau_lowers_the_rate_tenfold_and_patience_ends_it() -> None:
    history = train(line(), Script(0.5, 0.6, 0.6, 0.7, 0.6, 0.6, 9, 9), schedule="plateau", patience=2, max_epochs=8)
    assert rates(history) == pytest.approx([1e-2, 1e-2, 1e-2, 1e-3, 1e-3, 1e-4])
    assert (len(history.rows), history.best_epoch) == (6, 4)


def test_the_rate_of_a_plateau_has_a_floor() -> None:
    history = train(line(), Script(5, *[1] * 9), schedule="plateau", min_learning_rate=1e-3, max_epochs=5)
    assert rates(history)[-1] == pytest.approx(1e-3)


def test_a_plateau_after_a_warm_up_stays_lowered() -> None:
    history = train(line(), Script(5, *[1] * 9), schedule="plateau", warmup_epochs=1, max_epochs=4)
    assert rates(history)[-1] == pytest.approx(1e-4)
