"""One size for methods of every kind: `budget`, the bytes that the whole network may take, decides their own settings."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from typing import Annotated, Self

from msgspec import Meta
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Workbench
from benchmarks.models.size import stored_bytes

Budget = Annotated[float, Meta(gt=0)]
"""Stored bytes of the whole network, or up to 1 a share of the base's."""


def allowed_bytes(budget: float, base: nn.Module) -> int:
    """What a budget allows where the network is uncompressed as `base`."""
    return int(budget * stored_bytes(base) if budget <= 1 else budget)


def require_possible(smallest: int, allowed: int, base: nn.Module, how: str) -> None:
    """Raises BenchmarkError where not even the smallest network fits a budget."""
    if smallest > allowed:
        total = stored_bytes(base)
        share = -(-smallest * 1000 // total) / 1000
        raise BenchmarkError(
            f"A budget of {allowed:,} bytes ({allowed / total:.3f} of the base's {total:,}) cannot be met: {how}, "
            f"{smallest:,} bytes remain. Type method.budget={share:g} or more"
            + ("." if share < 1 else ", or take another method: this one makes the network no smaller.")
        )


class Sized(ABC):
    """A method whose size `budget` can decide: the largest of its `levels` that fits is taken."""

    budget: Budget | None

    @abstractmethod
    def levels(self, base: nn.Module, bench: Workbench) -> Sequence[Self]:
        """The method at every size that it has, smallest first, with `budget` null."""

    @abstractmethod
    def size(self, base: nn.Module, bench: Workbench) -> int:
        """Stored bytes of the network that the method makes of `base`, of which only the shapes are looked at."""

    def fitted(self, base: nn.Module, bench: Workbench) -> Self | None:
        """The method at its largest size within the budget; itself without one; None where the base itself fits.

        Raises BenchmarkError where the smallest does not fit.
        """
        if self.budget is None:
            return self
        allowed = allowed_bytes(self.budget, base)
        if stored_bytes(base) <= allowed:
            return None
        levels = self.levels(base, bench)
        if not levels:
            raise BenchmarkError(
                f"method.budget={self.budget:g} asks for less than the base's {stored_bytes(base):,} bytes, and this method "
                "finds nothing in the network that it makes smaller. Type method.budget=null, or change what it acts on."
            )
        fits = bisect_right(levels, allowed, key=lambda level: level.size(base, bench))
        if not fits:
            require_possible(levels[0].size(base, bench), allowed, base, "with this method at its smallest")
        return levels[fits - 1]
