"""The most frequent class of training everywhere: the floor of land cover."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from benchmarks.method import Workbench
from benchmarks.methods.closed_form import ClosedForm


@dataclass(frozen=True)
class Majority(ClosedForm):
    """Looks at no spectrum; its accuracy is the share of the class, and its kappa zero."""

    network: ClassVar[str] = "majority"

    def arguments(self, bench: Workbench) -> dict[str, object]:
        label, classes = bench.data.train.columns["label"], len(bench.data.schema["classes"])
        return {"counts": np.bincount(label.ravel(), minlength=classes)[:classes].tolist()}
