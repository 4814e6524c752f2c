"""Multinomial logistic regression on the spectra of single pixels, the embarrassingly strong baseline of small scenes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
from msgspec import Meta

from benchmarks.method import Solve, Workbench
from benchmarks.methods.pixels import labelled_spectra
from benchmarks.models.hyperspectral.spectral_linear import SpectralLinear
from benchmarks.solver import NetworkSolver, Solver

ABSENT = -1e4
"""The bias of a class that training lacks: it is never answered."""


@dataclass(frozen=True)
class SpectralLogistic(Solve):
    """Fitted by scikit-learn (L-BFGS) on the bands of training; other bands are filled in by `band_rule`."""

    penalty: Annotated[float, Meta(gt=0)] = 0.01
    band_rule: Literal["nearest", "interpolate", "zero"] = "nearest"

    def check(self, bench: Workbench) -> None:
        bench.build("spectral_linear", band_rule=self.band_rule)

    def solve(self, bench: Workbench) -> Solver:
        from sklearn.linear_model import LogisticRegression

        spectra, classes = labelled_spectra(bench)
        fitted = LogisticRegression(C=1 / self.penalty, max_iter=5000).fit(spectra, classes)
        weight, bias = torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)
        if len(fitted.classes_) == 2:  # scikit-learn has one row for both, the logit of the second
            weight, bias = torch.cat((0 * weight, weight)), torch.cat((0 * bias, bias))
        network = cast(SpectralLinear, bench.build("spectral_linear", band_rule=self.band_rule))
        there = torch.from_numpy(fitted.classes_)
        with torch.no_grad():
            network.linear.weight.zero_()
            network.linear.bias.fill_(ABSENT)
            network.linear.weight[there] = weight.float()
            network.linear.bias[there] = bias.float()
        if fitted.n_iter_.max() >= fitted.max_iter:
            bench.note(f"Logistic regression was stopped after {fitted.max_iter} iterations.")
        return NetworkSolver(bench.task, network, bench.data.schema)
