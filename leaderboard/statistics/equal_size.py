"""Is a compressed network better than one of the same size that was trained from scratch?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.leaderboard.statistics.paired import Difference, RunScore, paired_difference
from benchmarks.leaderboard.statistics.size_curve import SizePoint, Weighted, area, at_size

ERRORS = 2.0
"""Paired standard errors that a difference must exceed."""

LEAST_SEEDS = 2
"""Paired seeds below which nothing is decided: one pair holds the noise of the test set but not that of training."""

Verdict = Literal["win", "loss", "tie"]
Direction = Literal["max", "min", "target"]


@dataclass(frozen=True)
class EqualSize:
    """What was found against the control: its value at that size, the difference, and the verdict or the reason for none.

    `margin` is two standard errors of the difference. It and the verdict are None where fewer than two paired seeds have
    replicates.
    """

    control: float | None = None
    difference: float | None = None
    margin: float | None = None
    verdict: Verdict | None = None
    seeds: int = 0
    reason: str | None = None


def against_control(point: SizePoint, control: Sequence[SizePoint], direction: Direction = "max") -> EqualSize:
    """Judges a point by the control's curve at the same size.

    The control's runs are interpolated between its two neighbours (see `size_curve.at_size`) seed by seed and resample by
    resample, so the pairing holds. `win` lies more than two paired standard errors on the good side, `loss` on the bad one.
    """
    if not control:
        return EqualSize(reason="the control has no runs")
    found = at_size(control, point.size)
    if found is None:
        sizes = [other.size for other in control]
        return EqualSize(
            reason=f"the control's sizes run from {min(sizes):.3g} to {max(sizes):.3g} only, not to {point.size:.3g}"
        )
    return _judged(point.value, point.scores, found, direction)


def area_against_control(
    curve: Sequence[SizePoint], control: Sequence[SizePoint], low: float, high: float, direction: Direction = "max"
) -> EqualSize:
    """As `against_control`, for the areas under both curves from size `low` to `high`."""
    mine, theirs = area(curve, low, high), area(control, low, high)
    if mine is None:
        return EqualSize(reason=why_no_area(curve, low, high))
    if theirs is None:
        return EqualSize(reason=f"of the control, {why_no_area(control, low, high)}")
    if mine.reason:
        return EqualSize(theirs.value, mine.value - theirs.value, reason=mine.reason)
    return _judged(mine.value, mine.scores, theirs, direction)


def why_no_area(curve: Sequence[SizePoint], low: float, high: float) -> str:
    """Why a curve has no area from `low` to `high`, in the words of a table's note."""
    sizes = [point.size for point in curve]
    if not sizes:
        return "there are no sizes with a quality"
    if len(sizes) == 1:
        return f"there is one size only, {sizes[0]:.3g}"
    return f"sizes run from {min(sizes):.3g} to {max(sizes):.3g}, the area from {low:g} to {high:g}"


def _judged(value: float, scores: Mapping[int, RunScore] | None, control: Weighted, direction: Direction) -> EqualSize:
    difference = value - control.value
    if not scores or control.reason:
        return EqualSize(control.value, difference, reason=control.reason or "no replicates are stored")
    common = len(scores.keys() & control.scores.keys())
    if common < LEAST_SEEDS:
        known = "no seed is" if common == 0 else "one seed only is"
        return EqualSize(control.value, difference, seeds=common, reason=f"{known} paired with the control's")
    paired = paired_difference(scores, control.scores)
    if paired.standard_error is None or paired.difference is None:
        return EqualSize(control.value, paired.difference, seeds=common, reason=paired.reason)
    margin = ERRORS * paired.standard_error
    # Shown is what is judged: the mean over the paired seeds, should either side have others.
    figures = (paired.difference, margin, _verdict(paired, margin, direction), common)
    reason = "the metric has a target, so neither is better" if direction == "target" else None
    return EqualSize(control.value, *figures, reason=reason)


def _verdict(paired: Difference, margin: float, direction: Direction) -> Verdict | None:
    if direction == "target" or paired.difference is None:
        return None
    gain = paired.difference if direction == "max" else -paired.difference
    if abs(gain) <= margin:
        return "tie"
    return "win" if gain > 0 else "loss"
