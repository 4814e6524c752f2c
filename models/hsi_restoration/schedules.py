"""How much of the signal is left at each of 1,000 levels of noise, and which of them a sampler visits."""

from __future__ import annotations

import numpy as np

LEVELS = 1000
LEAST = 1e-3
"""What the exponential schedule leaves of the signal at the last level."""
SCHEDULES = ("exp", "linear", "cosine")
LINEAR = (1e-6, 1e-2)
LARGEST_BETA = 0.999


def signal_shares(schedule: str, decay: float = 8.0) -> np.ndarray:
    """abar float64 [1000], the share of the signal's power after 1, 2, ... 1,000 steps of noise.

    `exp` falls as 1 - exp(-decay (1 - t / T)), slowly at first, so that most levels have little noise (HIR-Diff, section 3.4).
    """
    if schedule == "linear":
        return np.cumprod(1 - np.linspace(*LINEAR, LEVELS))
    left = 1 - np.arange(LEVELS + 1) / LEVELS
    whole = (
        LEAST + (1 - LEAST) * (1 - np.exp(-decay * left)) / (1 - np.exp(-decay))
        if schedule == "exp"
        else np.sin(left * np.pi / 2) ** 2
    )
    return np.cumprod(1 - np.minimum(1 - whole[1:] / whole[:-1], LARGEST_BETA))


def visited(steps: int) -> np.ndarray:
    """Indices of the levels that a sampler visits, from noise to signal: every (1000 // steps)-th, 0 the last.

    Where `steps` does not divide 1,000 there are more of them than were asked for.
    """
    return np.arange(0, LEVELS, LEVELS // steps)[::-1].copy()


def visited_from(share: float, shares: np.ndarray, steps: int) -> np.ndarray:
    """So many levels from the first that has no more signal than `share` down to 0, evenly in the index."""
    first = min(int(np.searchsorted(-shares, -share)), LEVELS - 1)
    return np.unique(np.rint(np.linspace(0, first, steps)).astype(np.int64))[::-1].copy()
