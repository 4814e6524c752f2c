"""Method: what is done. Four kinds, each one abstract step; the steps around it are the same for every method.

A method is a frozen dataclass whose fields are the keys of its YAML file. It sees a workbench: the task, training and
validation samples, and the means to build, start from the base, and train.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from torch import Tensor, device, nn

from benchmarks.datasets.bundle import TrainingData
from benchmarks.models.lowrank.adapter_file import adapter_of, buffers_of, fingerprint
from benchmarks.models.named import always_trained
from benchmarks.solver import NetworkSolver, Solver, architecture
from benchmarks.task import Batch, Task

Found = TypeVar("Found")


@dataclass(frozen=True)
class Objective:
    """What an auxiliary training minimises in place of the task's loss; epochs are chosen by its mean on validation samples.

    `plan` holds what it wants otherwise than `trainer` (settings.Trainer).
    """

    loss: Callable[[nn.Module, Batch], Tensor]
    plan: Mapping[str, Any] = field(default_factory=dict)


class Workbench(Protocol):
    """What a method may use. The test split is not among it."""

    task: Task
    data: TrainingData
    seed: int
    protocol: str
    """`suite`, or `upstream` for whatever the official code does otherwise."""
    finetunes: bool
    """Whether fine-tuning follows compression or adaptation."""

    @property
    def device(self) -> device:
        """That of `trainer.accelerator` (see benchmarks.device), for what a method computes itself."""

    def plan(self, stage: str = "train") -> dict[str, Any]:
        """The keys of settings.Trainer as a stage is trained by: `finetune` changes some of them."""

    def note(self, text: str) -> None:
        """A remark for the reader of the record."""

    def fresh(self, **changes: object) -> nn.Module:
        """A new network of the configured model, with some of its settings changed."""

    def build(self, network: str, /, **settings: object) -> nn.Module:
        """A new network of the task by its name, for methods that bring their own."""

    def base(self) -> nn.Module:
        """The trained base network (from the store where it is there, else trained now); a copy of its own."""

    def pretrained(self) -> nn.Module | None:
        """The network with the weights that `weights=` names (published ones, also of another data set, or a file), or
        None where it names none."""

    def remember(self, key: tuple[object, ...], make: Callable[[], Found]) -> Found:
        """What a method derives from the base and the training data alone, kept for other runs of this process on both."""

    def fit(self, network: nn.Module, stage: str = "train", objective: Objective | None = None) -> None:
        """Trains in place by the shared trainer, to the best validation epoch; `stage` is `train` or `finetune`.

        With an `objective`, the network is any that its loss knows, and `stage` a name of its own. Time and epochs count as
        the method's cost.
        """


class Method(ABC):
    """Anything that yields a solver."""

    def check(self, bench: Workbench) -> None:
        """Raises BenchmarkError for settings that cannot work on this task, model and data, before anything is trained."""
        bench.fresh()

    @abstractmethod
    def produce(self, bench: Workbench) -> Solver:
        """Makes the solver of one fold."""


class Compress(Method):
    """Makes a trained network smaller, then fine-tunes it."""

    @abstractmethod
    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        """The smaller network; `network` may be changed in place."""

    def produce(self, bench: Workbench) -> Solver:
        network = self.compress(bench.base(), bench)
        if bench.finetunes:
            bench.fit(network, "finetune")
        return NetworkSolver(bench.task, network, bench.data.schema)


class Adapt(Method):
    """Attaches trainable parts to a trained network, or chooses some of its own, and fine-tunes these alone.

    What the network names in `always_trained` (patterns of its parameters' names: a head, a prompt) trains beside them. What
    a reader of the adapter must know, as the ranks of its layers, is kept with it where `adapt` sets `adapted` of the
    network, a mapping fit for JSON.
    """

    @abstractmethod
    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        """The network with its trainable parts; whatever must not change has `requires_grad` off."""

    def attached(self, network: nn.Module, bench: Workbench) -> nn.Module:
        """The network as it is trained: adapted, and with what the task trains whatever the adapter."""
        network = self.adapt(network, bench)
        for parameter in always_trained(network):
            parameter.requires_grad_(True)
        return network

    def merged(self, network: nn.Module) -> nn.Module:
        """The trained network as it is kept and timed: what can be merged into the base's own layers is."""
        return network

    def produce(self, bench: Workbench) -> Solver:
        base = bench.base()
        started_from, buffers = fingerprint(base), buffers_of(base)
        network, adapter = self.attached(base, bench), None
        if bench.finetunes:
            bench.fit(network, "finetune")
            made = {**architecture(network), "method": vars(self), **getattr(network, "adapted", {})}
            adapter = adapter_of(network, started_from, buffers, made)
        return NetworkSolver(bench.task, self.merged(network), bench.data.schema, adapter)


class Train(Method):
    """Trains an architecture from scratch."""

    @abstractmethod
    def build(self, bench: Workbench) -> nn.Module:
        """The fresh network."""

    def check(self, bench: Workbench) -> None:
        self.build(bench)

    def produce(self, bench: Workbench) -> Solver:
        network = self.build(bench)
        bench.fit(network)
        return NetworkSolver(bench.task, network, bench.data.schema)


class Solve(Method):
    """Solves without training."""

    @abstractmethod
    def solve(self, bench: Workbench) -> Solver:
        """The solver; it may look at training samples."""

    def produce(self, bench: Workbench) -> Solver:
        return self.solve(bench)
