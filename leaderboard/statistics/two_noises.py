"""The p value of a difference that holds two noises, one of them known from a few seeds only."""

from __future__ import annotations

from functools import cache

import numpy as np

EXPONENTS = np.linspace(-30, 0, 1201)
"""Where the integral is evaluated: probabilities 1 / (1 + exp(-x)), fine in the tail that small p values come from."""


def two_noise_p(
    difference: float, unit_error: float, unit_degrees: float, seed_error: float, seed_degrees: float
) -> float:
    """The two-sided p value of `difference` under the noise of the test set and of training, after Behrens and Fisher.

    The difference less the truth is taken for the sum of two independent Student variables, each scaled by its standard
    error. Satterthwaite's degrees of freedom would be simpler, but where three seeds happen to agree they hand the whole
    difference to the test set: with ten rows and Holm's correction one family in five then raises a false alarm. The sum
    keeps the heavy tail of the few seeds, and its size is at most the nominal one in all cases that were tried (G. K.
    Robinson, Properties of Student's t and of the Behrens-Fisher solution, The Annals of Statistics 4, 1976).

    Args:
        difference: in units of the metric.
        unit_error: standard error by the units of the test set, 0 where there is none.
        unit_degrees: number of units less one.
        seed_error: standard error of the mean over seeds, 0 where there is none.
        seed_degrees: number of seeds less one.
    """
    size = abs(difference)
    if size == 0:
        return 1.0
    from scipy.special import stdtr

    if unit_error == 0 and seed_error == 0:
        return 0.0
    if seed_error == 0:
        return 2 * float(stdtr(unit_degrees, -size / unit_error))
    if unit_error == 0:
        return 2 * float(stdtr(seed_degrees, -size / seed_error))
    quantiles, density = _lower_half(seed_degrees)
    by_seeds = seed_error * quantiles
    beyond = stdtr(unit_degrees, (-size - by_seeds) / unit_error) + stdtr(unit_degrees, (by_seeds - size) / unit_error)
    # Both halves of the seeds' distribution give the same by symmetry, hence the factor.
    return min(1.0, 2 * float(np.trapezoid(density * beyond, EXPONENTS)))


def two_noise_half_width(
    unit_error: float, unit_degrees: float, seed_error: float, seed_degrees: float, level: float = 0.95
) -> float:
    """Half the width of the interval that `two_noise_p` belongs to: the difference whose p is 1 - `level`."""
    from scipy.optimize import brentq

    def excess(size: float) -> float:
        return two_noise_p(size, unit_error, unit_degrees, seed_error, seed_degrees) - (1 - level)

    high = unit_error + seed_error
    if high == 0:
        return 0.0
    while excess(high) > 0:
        high *= 2
    return float(brentq(excess, 0, high, rtol=1e-3, xtol=1e-4 * high))


@cache
def _lower_half(degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of Student's distribution at the probabilities of `EXPONENTS`, and the derivative of these."""
    from scipy.special import stdtrit

    share = 1 / (1 + np.exp(-EXPONENTS))
    return stdtrit(degrees, share), share * (1 - share)
