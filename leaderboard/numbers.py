"""Figures as readers see them: fixed decimals within a column, exact counts, short sizes; never a dash for zero."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

DASH = "\N{EN DASH}"


def column_decimals(values: Iterable[float | None], spreads: Iterable[float | None] = ()) -> int:
    """Decimals for a column, 0 to 6: two digits of the middle spread, or four significant ones of the values.

    Up to the fourth decimal there is one more: paired differences are finer than the spread of their values.
    """
    known = sorted(abs(spread) for spread in spreads if spread)
    if known:
        two_digits = 1 - math.floor(math.log10(known[len(known) // 2]))
        return _clamp(max(two_digits, min(4, two_digits + 1)))
    sizes = [abs(value) for value in values if value]
    return _clamp(3 - math.floor(math.log10(max(sizes)))) if sizes else 2


def fixed(value: float | None, decimals: int) -> str:
    """The value with so many decimals and a true minus sign, or a dash."""
    return DASH if value is None else _minus(f"{value:,.{decimals}f}")


def signed(value: float | None, decimals: int) -> str:
    """As `fixed`, with a sign; a difference that rounds to nothing has none."""
    if value is None:
        return DASH
    return _minus(f"{value:+.{decimals}f}") if round(value, decimals) else f"{0:.{decimals}f}"


def count(value: float | None) -> str:
    """A whole number with separators."""
    return DASH if value is None else f"{value:,.0f}"


def short(value: float | None, unit: str = "") -> str:
    """Three significant digits with a decimal prefix: 1.69 MB, 423 k."""
    if value is None:
        return DASH
    steps = ("", "k", "M", "G", "T", "P")
    power = 0 if value == 0 else max(0, min(len(steps) - 1, math.floor(math.log10(abs(value)) / 3)))
    scaled = value / 1000**power
    if abs(float(f"{scaled:.3g}")) >= 1000 and power < len(steps) - 1:
        power, scaled = power + 1, scaled / 1000
    digits = 0 if power == 0 and float(value).is_integer() else 2 - max(0, _magnitude(scaled))
    return f"{scaled:.{max(0, digits)}f} {steps[power]}{unit}".rstrip()


def milliseconds(value: float | None) -> str:
    """Three significant digits."""
    return DASH if value is None else f"{value:.{max(0, 2 - _magnitude(value))}f}"


def seconds(value: float | None) -> str:
    """Seconds, minutes or hours."""
    if value is None:
        return DASH
    if value < 99.5:
        return f"{value:.{1 if value < 9.95 else 0}f} s"
    return f"{value / 60:.1f} min" if value < 5970 else f"{value / 3600:.1f} h"


def probability(p: float | None) -> str:
    """A p value with three decimals, the smallest as a bound."""
    if p is None:
        return DASH
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def ratio(value: float | None, base: float | None) -> str:
    """How many times the base, two significant digits; empty where either is missing."""
    if value is None or not base:
        return ""
    times = value / base
    return f"\N{MULTIPLICATION SIGN}{times:.{max(0, 1 - _magnitude(times))}f}"


def usual_range(values: Sequence[float]) -> tuple[float, float]:
    """The range of the values without far ones (Tukey's fences, 1.5 interquartile ranges): one must not hide all."""
    ordered = sorted(values)
    if len(ordered) < 4:
        return ordered[0], ordered[-1]
    first, third = ordered[len(ordered) // 4], ordered[(3 * len(ordered)) // 4]
    reach = 1.5 * (third - first)
    inside = [value for value in ordered if first - reach <= value <= third + reach]
    return inside[0], inside[-1]


def ticks(low: float, high: float, wanted: int = 5) -> Sequence[float]:
    """Round numbers from `low` to `high`, about `wanted` of them."""
    if not high > low:
        return [low]
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * 0.999)
    return [index * step for index in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> Sequence[float]:
    """1, 2 and 5 times powers of ten within [low, high], or powers alone over three decades and more."""
    factors = (1, 2, 5) if math.log10(high / low) < 3 else (1,)
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [f * 10.0**p for p in powers for f in factors if low * 0.999 <= f * 10.0**p <= high * 1.001]


def _magnitude(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _clamp(decimals: int) -> int:
    return max(0, min(6, decimals))


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
