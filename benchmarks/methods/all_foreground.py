"""All foreground: a floor of segmentation that looks at no image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from benchmarks.method import Workbench
from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class AllForeground(ClosedForm):
    """Every pixel is an object: of a share f of objects in an image, Dice is 2 f / (1 + f)."""

    network: ClassVar[str] = "constant"

    def arguments(self, bench: Workbench) -> dict[str, object]:
        return {"foreground": True}
