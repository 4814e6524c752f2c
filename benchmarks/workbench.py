"""The bench that a method works at: fresh, base and pretrained networks, training, and a clock for all of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from benchmarks.datasets.bundle import Fold, few
from benchmarks.datasets.cache import fetch
from benchmarks.device import device_of
from benchmarks.errors import BenchmarkError
from benchmarks.inference import collect
from benchmarks.leaderboard.record import canonical_hash
from benchmarks.method import Objective
from benchmarks.models.size import unique_parameters
from benchmarks.solver import NetworkSolver, build
from benchmarks.spec import FINETUNED, RunSpec
from benchmarks.task import Batch, Task, tensors

if TYPE_CHECKING:
    from benchmarks.epochs import History


Found = TypeVar("Found")
_REMEMBERED: dict[tuple[object, ...], Any] = {}
KEPT = 4
"""Calibrations that a process keeps; each may be as large as the network that it is of."""


class Bench:
    """The workbench of one fold of one run (see benchmarks.method.Workbench).

    `folder` is the run's, for checkpoints and logs. `find_base` gives the id of the base run and the folder of its saved
    solver for this fold, and trains that base first where the store lacks it; the seconds that take are the base's cost,
    not this run's.
    """

    def __init__(
        self, spec: RunSpec, task: Task, fold: Fold, folder: Path, find_base: Callable[[], tuple[str, Path]]
    ) -> None:
        self.spec, self.task, self.seed = spec, task, spec.seed
        self.data = few(fold.training, spec.config["shots"], spec.seed)
        self.protocol, self.fold = spec.protocol, fold.name
        self.checkpoints, self.logs = folder / "checkpoints" / fold.name, folder / "logs" / fold.name
        self.base_run: str | None = None
        self.histories: dict[str, History] = {}
        self.trained: int | None = None
        self.base_seconds = 0.0
        self.weights_used: list[dict[str, str]] = []
        if spec.kind in FINETUNED and spec.config["finetune"]["distill"] and type(task).softened is Task.softened:
            raise BenchmarkError(
                f"finetune.distill: task '{spec.task}' cannot learn from answers of a base. Leave it out."
            )
        self.finetunes = spec.config["finetune"]["max_epochs"] > 0
        self.notes: list[str] = []
        if spec.own_weights and spec.config["weights"] is None:
            self.note(f"Random initialisation: model {spec.model} is meant to begin with weights={spec.own_weights}.")
        where = fold.name if fold.name != "all" else None
        self.title = ", ".join(filter(None, (spec.model, where, f"seed {spec.seed}")))
        self._find_base = find_base

    def note(self, text: str) -> None:
        self.notes.append(text)

    def fresh(self, **changes: Any) -> nn.Module:
        network = self.build(self.spec.model, **{**self.spec.settings("model"), **changes})
        if path := self.spec.checkpoint:
            self.task.load_weights(network, path)
            self._used({"name": path.name, "sha256": str(self.spec.checkpoint_sha256)})
        return network

    def build(self, network: str, /, **settings: Any) -> nn.Module:
        torch.manual_seed(self.seed)
        try:
            return build(self.task, network, settings, self.data.schema)
        except (TypeError, ValueError, RuntimeError) as error:
            shown = " ".join(f"model.{key}={value}" for key, value in settings.items())
            raise BenchmarkError(f"Model '{network}' cannot be built with {shown}: {error}.") from error

    def base(self) -> nn.Module:
        started = time.perf_counter()
        self.base_run, folder = self._find_base()
        self.base_seconds += time.perf_counter() - started
        network = NetworkSolver.load(self.task, folder).network
        # What a method draws from here on must not depend on whether the base was trained just now or found.
        torch.manual_seed(self.seed)
        return network

    def pretrained(self) -> nn.Module | None:
        named = self.spec.config["weights"]
        if named is None:
            return None
        network = self.fresh()
        path, card = Path(named), self.spec.weights_card
        origin = {}
        if card is not None:
            name = card.published[self.spec.model].file
            path = fetch(card, files=[name])[name]
            origin = {"dataset": card.id}
            if card.task and card.id != self.spec.card.id:
                self.note(f"The weights were made for another data set: {card.title} ({card.id}).")
        if path.suffix == ".safetensors":
            try:
                network.load_state_dict(load_file(path))
            except (SafetensorError, RuntimeError) as error:
                raise BenchmarkError(f"The weights {path} do not fit model '{self.spec.model}': {error}") from error
        else:
            self.task.load_weights(network, path)
        self._used({"name": path.name, "sha256": str(self.spec.weights_sha256), **origin})
        return network.eval()

    def _used(self, weights: dict[str, str]) -> None:
        if weights not in self.weights_used:
            self.weights_used.append(weights)

    def remember(self, key: tuple[object, ...], make: Callable[[], Found]) -> Found:
        if self.base_run is None:
            return make()
        shots = self.spec.config["shots"]
        whole = (self.base_run, self.spec.data_fingerprint, shots, self.fold, self.seed, *key)
        if whole not in _REMEMBERED:
            while len(_REMEMBERED) >= KEPT:
                del _REMEMBERED[next(iter(_REMEMBERED))]
            _REMEMBERED[whole] = make()
        return _REMEMBERED[whole]

    def fit(self, network: nn.Module, stage: str = "train", objective: Objective | None = None) -> None:
        from benchmarks.trainer import fit  # Lightning takes seconds to import, and loaded weights need no training

        plan, loss, judged = self.plan(stage), None, None
        judge: Callable[[nn.Module], float] = self.judge
        if objective is not None:
            plan |= objective.plan
            loss, judge, judged = objective.loss, self._mean(objective.loss), ("loss", "min")
        elif stage == "finetune":
            loss = self._imitation(self.spec.config["finetune"]["distill"])
        name = stage if stage not in self.histories else f"{stage}-{len(self.histories)}"
        seed = int(canonical_hash([self.seed, name])[:8], 16)
        torch.manual_seed(seed)
        self.trained = unique_parameters(network, trainable=True)
        self.histories[name] = fit(
            network,
            self.task,
            self.data,
            plan,
            seed=seed,
            judge=judge,
            judged=judged,
            loss=loss,
            title=f"{name} {self.spec.method} ({self.title})",
            checkpoints=self.checkpoints / name,
            logs=self.logs / name,
        )

    def plan(self, stage: str = "train") -> dict[str, Any]:
        plan = dict(self.spec.config["trainer"])
        if stage == "finetune":
            changed = {key: value for key, value in self.spec.config["finetune"].items() if key != "distill"}
            plan |= {key: value for key, value in changed.items() if value is not None}
            plan["patience"] = changed["patience"]
        return plan

    @property
    def device(self) -> torch.device:
        return device_of(self.spec.config["trainer"]["accelerator"])

    def _imitation(self, share: float) -> Callable[[nn.Module, Batch], Tensor] | None:
        """The task's loss with targets that are `share` the answers of the base; None for the data's alone."""
        if not share:
            return None
        teacher = self.base()

        def loss(network: nn.Module, batch: Batch) -> Tensor:
            with torch.no_grad():
                answers = self.task.predict(teacher.to(next(iter(batch.values())).device), batch)
            return self.task.loss(network, self.task.softened(batch, answers, share))

        return loss

    def _mean(self, loss: Callable[[nn.Module, Batch], Tensor]) -> Callable[[nn.Module], float]:
        """The mean of a loss on the validation split; what it draws at random is the same at every epoch."""

        def judge(network: nn.Module) -> float:
            device = next(network.parameters()).device
            with torch.random.fork_rng(), torch.no_grad():
                torch.manual_seed(self.seed)
                sizes, losses = [], []
                for batch in self.data.val.batches(self.spec.config["trainer"]["batch_size"]):
                    sizes.append(len(next(iter(batch.values()))))
                    losses.append(float(loss(network, tensors(batch, device))))
            return sum(size * value for size, value in zip(sizes, losses, strict=True)) / sum(sizes)

        return judge

    def judge(self, network: nn.Module) -> float:
        """The primary metric on the validation split, by which the task also calibrates the network."""
        solver = NetworkSolver(self.task, network, self.data.schema)
        samples = collect(solver, self.data.val, self.task, self.spec.config["trainer"]["batch_size"])
        self.task.calibrate(network, samples)
        return self.task.primary.statistic(samples).value(None)
