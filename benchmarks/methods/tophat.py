"""White top-hat: the floor of small target detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from msgspec import Meta

from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class TopHat(ClosedForm):
    """What is brighter than all surroundings of an ellipse `size` pixels across, relative to the largest of its image."""

    network: ClassVar[str] = "tophat"
    size: Annotated[int, Meta(ge=1)] = 5
