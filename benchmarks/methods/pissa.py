"""PiSSA: the leading singular triplets of each weight train, as two factors; the rest of its spectrum stays.

Meng et al., PiSSA: Principal Singular Values and Singular Vectors Adaptation of Large Language Models, NeurIPS 2024.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta
from torch import Tensor

from benchmarks.methods.attach import Attach, pairs_of
from benchmarks.models.lowrank.principal import PrincipalUpdate
from benchmarks.models.lowrank.update import Update, require_rank


@dataclass(frozen=True)
class PiSSA(Attach):
    """Factors of `rank` triplets train; they count once."""

    rank: Annotated[int, Meta(ge=1)] = 4

    def update(self, name: str, weight: Tensor) -> Update:
        require_rank(name, weight, self.rank)
        return PrincipalUpdate(weight, pairs_of(weight), self.rank)
