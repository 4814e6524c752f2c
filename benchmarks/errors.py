"""The one error that users see: a paragraph that names what was given, what is allowed and what to type."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class BenchmarkError(Exception):
    """A mistake that the user can mend. Its text is printed without a traceback, and the process exits with 1."""


class Misfit(BenchmarkError):
    """A task, method, model or data set that do not go together: an error alone, a skipped point in a sweep."""


def nearest(given: str, allowed: Iterable[str]) -> str | None:
    """The allowed name most like `given`, or None where nothing is alike."""
    close = difflib.get_close_matches(given, list(allowed), n=1, cutoff=0.5)
    return close[0] if close else None


def unknown(kind: str, given: str, allowed: Iterable[str], *, remedy: str = "") -> BenchmarkError:
    """The error for a name that does not exist: nearest name first, then every valid one."""
    names = sorted(allowed)
    guess = nearest(given, names)
    parts = [f"Unknown {kind} '{given}'."]
    if guess:
        parts.append(f"Did you mean '{guess}'?")
    parts.append(f"Valid: {', '.join(names) if names else 'none'}.")
    if remedy:
        parts.append(remedy)
    return BenchmarkError(" ".join(parts))
