"""Task: what a model must do, how it is judged, and what it offers to methods. One package each, one class each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.datasets.bundle import DataBundle, Fold, Split
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.metric import Metric, Operating

if TYPE_CHECKING:
    from benchmarks.solver import Solver

Batch = dict[str, Tensor]
Outputs = dict[str, Tensor]


class Task(ABC):
    """A domain task. Its settings are those of `conf/task/<name>.yaml`; its metrics live in a module without torch."""

    metrics: ClassVar[tuple[Metric, ...]]
    """All metrics; the first is the primary one, by which epochs are chosen on the validation split."""

    unit: ClassVar[str]
    """What the bootstrap resamples, in the plural: users, scenes, subjects, images."""

    target_names: ClassVar[tuple[str, ...]]
    """Columns that scoring needs and no method may answer with: labels, masks, references; those that a split has."""

    curves: ClassVar[tuple[Operating, ...]] = ()
    """Lines over thresholds that a run's page shows, `CURVES` of the module of metrics."""

    latency_batches: ClassVar[tuple[int, ...]] = (1,)
    """Batch sizes at which latency is measured: samples, or groups where `whole_groups` is set."""

    whole_groups: ClassVar[bool] = False
    """Whether a call answers groups that make no sense in part, as the tiles of a cube are; costs are then those of a group."""

    def __init__(self, **settings: Any) -> None:
        if settings:
            raise TypeError(f"{type(self).__name__} reads no settings: {settings}")

    @property
    def primary(self) -> Metric:
        """The metric that ranks methods."""
        return self.metrics[0]

    def data(self, card_id: str, options: Mapping[str, Any]) -> DataBundle:
        """The data set's folds; fetched and verified first where need be."""
        return open_bundle(card_id, dict(options))

    @abstractmethod
    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        """A fresh network, initialised from torch's default generator."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The training loss of a batch, a scalar."""

    def table_decay(self, network: nn.Module) -> float:
        """The decay of table rows that a batch touches, where tables train by rows (`trainer.tables=rowwise_adagrad`)."""
        return 0.0

    def softened(self, batch: Batch, answers: Outputs, share: float) -> Batch:
        """The batch with targets that are `share` a trained base's answers, for distillation where a task has such targets."""
        raise BenchmarkError("This task cannot learn from answers of a base: leave finetune.distill out.")

    @abstractmethod
    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        """What a trained network answers: arrays with one row a sample."""

    def calibrate(self, network: nn.Module, samples: Mapping[str, np.ndarray]) -> None:
        """May set in a network what validation tells of its answers, as a temperature; called wherever training is judged.

        `samples` are the validation samples and answers that the network was judged by. What is set must be kept in its state.
        """

    def analytic_flops(self, network: nn.Module) -> int:
        """Operations per sample that a counter of matrix products does not see."""
        return 0

    def example(self, schema: Mapping[str, Any], size: int) -> Batch:
        """A batch of `size` made-up samples with the names, types and shapes of real ones; equal calls give equal batches.

        It is what a network is traced with and checked on where it is exported.
        """
        raise BenchmarkError(
            "The task of this run cannot be exported yet: it lacks Task.example, which makes up a batch."
        )

    def fused(self, network: nn.Module) -> nn.Module:
        """The same answers, up to rounding, in the form that is quickest to compute, which `predict` takes as well.

        Raises BenchmarkError for a network that has no such form, or no longer after a method has changed it.
        """
        raise BenchmarkError(f"{type(network).__name__} has no fused form.")

    def exported(self, network: nn.Module) -> nn.Module:
        """The network as it leaves the suite: its fused form, which is also timed, or where it has none itself."""
        try:
            return self.fused(network)
        except BenchmarkError:
            return network

    def pictures(
        self, solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path
    ) -> Mapping[str, Sequence[int] | np.ndarray] | None:
        """Writes PNG files about an evaluated fold into `folder`, for the run's page; no number may depend on them.

        May answer by file name which rows of `samples` a picture shows: the page's table of the worst ones leads there.

        `samples` are the fold's test samples as they were scored (see `inference.collect`), in the order of the split.
        Files of all folds lie in this one folder, so their names tell the fold. What goes wrong becomes a note of the record.
        """

    def load_weights(self, network: nn.Module, path: Path) -> None:
        """Loads published weights in their own format into the base network."""
        raise BenchmarkError(
            f"The task knows no published weights in the format of {path.name}; weights=PATH takes a safetensors file."
        )

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """A user's own file as it stands and as samples without targets."""
        raise BenchmarkError(f"The task of this run reads no files of your own yet ({path.name}).")

    def answer_name(self, path: Path) -> str:
        """What the answers to a user's own file are called in a folder of answers: as the file is, unless overridden."""
        return path.name

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """A user's own file with what a trained run answers to it."""
        raise BenchmarkError(f"The task of this run writes no files of your own yet ({path.name}).")


def tensors(batch: Mapping[str, np.ndarray], device: torch.device | str = "cpu") -> Batch:
    """A batch of arrays as tensors on a device; memory is shared where it can be."""
    return {
        name: torch.from_numpy(np.ascontiguousarray(column)).to(device, non_blocking=True)
        for name, column in batch.items()
    }


def concatenate(parts: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Batches of named arrays put one after another."""
    listed = list(parts)
    return {name: np.concatenate([part[name] for part in listed]) for name in listed[0]}
