"""What the trajectory descriptors share: which paths they are fitted on, the split by speed, the anchors."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Literal, cast

import torch
from msgspec import Meta
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Train, Workbench
from benchmarks.models.trajectory.forecaster import Forecaster
from benchmarks.models.trajectory.space import fit_space

Count = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class Descriptor(Train):
    """Bases for observed and future paths and anchors in their space, then a network that corrects the anchors.

    Under `protocol=upstream` the official thresholds are taken, and validation paths are fitted on too, unless
    `static_distance` and `fit_on` say otherwise.
    """

    anchors: Count = 20
    split: bool = True
    static_distance: Annotated[float, Meta(ge=0)] | None = None
    fit_on: Literal["train", "train+val"] | None = None
    restarts: Count = 10

    @abstractmethod
    def sizes(self) -> tuple[int, int]:
        """Numbers that an observed and a future path are described by."""

    @abstractmethod
    def bases(self, obs: Tensor, pred: Tensor) -> tuple[Tensor, Tensor]:
        """Orthonormal bases [2 T, k] and [2 P, k] for local paths [M, T, 2] and [M, P, 2]."""

    def check(self, bench: Workbench) -> None:
        self.empty(bench)

    def build(self, bench: Workbench) -> nn.Module:
        network = self.empty(bench)
        data, schema = bench.data, bench.data.schema
        upstream = bench.protocol == "upstream"
        with_val = self.fit_on == "train+val" or (self.fit_on is None and upstream)
        parts = [data.train.columns, data.val.columns] if with_val else [data.train.columns]
        obs, pred = (torch.cat([torch.from_numpy(part[name]) for part in parts]) for name in ("obs", "pred"))
        threshold = schema["static_distance"] if upstream and self.static_distance is None else self.static_distance
        fit_space(network, obs, pred, self.bases, threshold=threshold, restarts=self.restarts, seed=bench.seed)
        return network

    def empty(self, bench: Workbench) -> Forecaster:
        """The forecaster before anything is fitted."""
        schema = bench.data.schema
        if self.static_distance is not None and not self.split:
            raise BenchmarkError(
                f"method.static_distance={self.static_distance:g} tells standing from moving pedestrians, which "
                "method.split=false does not. Leave one of them out."
            )
        obs_rank, rank = self.sizes()
        for name, wanted, steps in (("observed", obs_rank, schema["obs_len"]), ("future", rank, schema["pred_len"])):
            if wanted > 2 * steps:
                raise BenchmarkError(
                    f"{wanted} numbers for {name} paths of {steps} points, which are {2 * steps} numbers. "
                    f"Choose at most {2 * min(schema['obs_len'], schema['pred_len'])}."
                )
        classes = 2 if self.split else 1
        space = {"obs_rank": obs_rank, "rank": rank, "samples": self.anchors, "classes": classes}
        return cast(Forecaster, self.network(bench, space))

    def network(self, bench: Workbench, space: dict[str, int]) -> nn.Module:
        """The network around which the descriptor is put."""
        return bench.fresh(space=space)
