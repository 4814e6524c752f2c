"""All background: a floor of segmentation that looks at no image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.method import Workbench
from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class AllBackground(ClosedForm):
    """No pixel is an object: Dice is 0 of every image that has one, and accuracy may yet look high."""

    network: ClassVar[str] = "constant"

    def arguments(self, bench: Workbench) -> dict[str, object]:
        return {"foreground": False}
