"""CoLoRA: low-rank updates whose ranks follow how much each layer contributed to what a short full fine-tuning gained.

Park et al., Contribution-based Low-Rank Adaptation with Pre-training Model for Real Image Restoration, ECCV 2024. No code is
public, nor the formula from contribution to rank: both are our own (see `contribution` and `rank_plan`), and so is what
always trains, the small parameters. A copy of the base is first fine-tuned as a whole for a while; that and the attribution
count as the method's cost. Other rules that spend the same number of parameters are `allocation`s.
"""

from __future__ import annotations

import copy
import math
import time
import zlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.method import Adapt, Objective, Workbench
from benchmarks.methods.spend import SMALL_NETWORK, Spending, adapted_layers, spending
from benchmarks.models.lowrank.contribution import (
    POINTS,
    Attribution,
    change_scores,
    contributions,
    gradient_scores,
    group_score,
)
from benchmarks.models.lowrank.rank_plan import (
    DENSE,
    Matrix,
    Plan,
    even_scores,
    price_of,
    random_scores,
    ranks_within,
    reversed_scores,
    size_scores,
)
from benchmarks.models.lowrank.update import LowRankUpdate, attach, matrix_shape, merge_updates
from benchmarks.task import Batch, tensors

AT_ONCE = 8
"""Images whose gradients an accelerator takes together, where the loss allows that."""


@dataclass(frozen=True)
class CoLoRA(Adapt):
    """Trains `share` of the network's parameters: small ones, always, and updates W + up down of ranks by `allocation`.

    Where they are null, `share`, `alpha` and `floor` are 0.07, 1 and 0, or 0.2, 0.5 and 1 in networks of less than a million
    parameters, if the share allows a rank to all. `alpha` and `beta` say nothing about `uniform` and `size`. A layer whose
    update would have as many numbers as its weight trains as a whole.
    """

    share: Annotated[float, Meta(gt=0, le=1)] | None = None
    allocation: Literal["contribution", "uniform", "size", "change", "gradient", "random", "reversed"] = "contribution"
    alpha: Annotated[float, Meta(gt=0)] | None = None
    beta: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    floor: Annotated[int, Meta(ge=0)] | None = None
    probe: Annotated[float, Meta(ge=0, le=1)] = 0.02
    probe_steps: Annotated[int, Meta(ge=1)] = 60
    images: Annotated[int, Meta(ge=1)] = 8
    points: Annotated[int, Meta(ge=1)] = POINTS

    def check(self, bench: Workbench) -> None:
        network = bench.fresh().to("meta")
        spent = spending(network, self.share)
        self._ranks(even_scores(_matrices(spent)), spent)  # raises where not even beta and floor fit

    def adapt(self, network: nn.Module, bench: Workbench) -> nn.Module:
        if not bench.finetunes:  # what is not trained needs no ranks
            return network.requires_grad_(False)
        spent = spending(network, self.share)
        scores = self._scores(network, bench, spent)
        plan = self._ranks(scores, spent)
        apply_plan(network, plan, spent, bench.seed)
        self._describe(network, bench, spent, plan, scores)
        return network

    def merged(self, network: nn.Module) -> nn.Module:
        return merge_updates(network)

    def _ranks(self, scores: dict[str, float], spent: Spending) -> Plan:
        small = spent.total < SMALL_NETWORK
        alpha, beta = self.alpha or (0.5 if small else 1.0), self.beta
        if self.allocation in ("uniform", "size"):
            alpha, beta = 1.0, 0.0
        matrices, floor = _matrices(spent), self.floor
        if floor is None:
            floor = int(small and sum(matrix.cost(1) for matrix in matrices.values()) <= spent.left)
        return ranks_within(matrices, scores, spent.left, alpha=alpha, beta=beta, floor=floor)

    def _scores(self, network: nn.Module, bench: Workbench, spent: Spending) -> dict[str, float]:
        """A score by layer."""
        matrices = _matrices(spent)
        if self.allocation == "uniform":
            return even_scores(matrices)
        if self.allocation == "size":
            return size_scores(matrices)
        if self.allocation == "random":
            return random_scores(matrices, bench.seed)
        weights = {f"{name}.weight": name for name in matrices}
        if self.allocation == "gradient":
            found = self._on_device(network, bench, lambda images: gradient_scores(
                network, bench.task.loss, images, of=weights, seed=bench.seed, at_once=_at_once(bench)
            ))  # fmt: skip
        else:
            target = self._probe(network, bench)
            if self.allocation == "change":
                found = change_scores(network, target, of=weights)
            else:
                found = self._contributions(network, target, bench, spent)
        scores = {name: found[weight] for weight, name in weights.items()}
        if not any(scores.values()):
            raise BenchmarkError(
                "No layer has changed or has a gradient, so that nothing tells their ranks. Type method.allocation=uniform, or "
                f"more method.probe_steps than {self.probe_steps}."
            )
        return reversed_scores(scores) if self.allocation == "reversed" else scores

    def _contributions(
        self, network: nn.Module, target: dict[str, Tensor], bench: Workbench, spent: Spending
    ) -> dict[str, float]:
        of = {f"{name}.weight" for name in spent.layers} | spent.always

        def attribute(images: list[Batch]) -> Attribution:
            return contributions(
                network,
                target,
                bench.task.loss,
                images,
                of=of,
                points=self.points,
                seed=bench.seed,
                at_once=_at_once(bench),
            )

        found = self._on_device(network, bench, attribute).scores
        means = {kind: group_score(found, network, names) for kind, names in kinds_of(network, spent).items() if names}
        bench.note(
            "Mean contribution of an entry: " + ", ".join(f"{kind} {mean:.3g}" for kind, mean in means.items()) + "."
        )
        return found

    def _probe(self, network: nn.Module, bench: Workbench) -> dict[str, Tensor]:
        """The parameters of a copy after a short fine-tuning of all of it, at the full rate from the first step on."""
        tuned, plan = copy.deepcopy(network), bench.plan("finetune")
        batches = math.ceil(len(bench.data.train) / plan["batch_size"])
        an_epoch = math.ceil(batches / plan["accumulate"])  # the last batches make a step, however few they are
        steps = max(self.probe_steps, round(self.probe * an_epoch * plan["max_epochs"]))
        epochs = math.ceil(steps / an_epoch)
        changed = {
            "max_epochs": epochs, "max_steps": steps, "validate_every": epochs, "schedule": "none", "warmup_epochs": 0.0,
            "patience": None, "ema_decay": None,
        }  # fmt: skip
        started = time.perf_counter()
        bench.fit(tuned, "probe", Objective(bench.task.loss, {**plan, **changed}))
        bench.note(f"The base was first fine-tuned as a whole: {steps} steps, {time.perf_counter() - started:.1f} s.")
        return {name: value.detach() for name, value in tuned.named_parameters()}

    def _on_device(self, network: nn.Module, bench: Workbench, work: Any) -> Any:
        """What `work` finds on the calibration samples, where training computes; the network comes back to where it was."""
        split = bench.data.train
        chosen = np.random.default_rng([bench.seed, len(split)]).permutation(split.parts)[: self.images]
        started = time.perf_counter()
        training, place = network.training, next(network.parameters()).device
        network.eval().to(bench.device)
        images = [tensors(batch, bench.device) for batch in split.batches(1, chosen)]
        try:
            return work(images)
        finally:
            network.train(training).to(place)
            seconds = time.perf_counter() - started
            bench.note(f"Scores of layers from {len(images)} training samples: {seconds:.2f} s.")

    def _describe(
        self, network: nn.Module, bench: Workbench, spent: Spending, plan: Plan, scores: dict[str, float]
    ) -> None:
        trained = spent.small + price_of(plan, _matrices(spent))
        dense = sum(rank == DENSE for rank in plan.values())
        ranks = [rank for rank in plan.values() if rank != DENSE]
        between = f", the others ranks {min(ranks)} to {max(ranks)}" if ranks else ""
        bench.note(
            f"{trained:,} parameters train, {trained / spent.total:.4f} of {spent.total:,}: {spent.small:,} always, "
            f"{dense} of {len(plan)} layers as a whole{between} ({self.allocation})."
        )
        network.adapted = {  # type: ignore[assignment]
            "allocation": self.allocation,
            "share": spent.share,
            "trained": trained,
            "plan": plan,
            "scores": scores,
        }


def apply_plan(network: nn.Module, plan: Plan, spent: Spending, seed: int) -> None:
    """Leaves trainable, in place, what a plan says and what always trains; updates start at zero, down ~ N(0, 1 / columns).

    The draws of a layer depend on its name and the seed alone, so that whatever the plan, its ranks begin alike.
    """
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in spent.always)
    for name, rank in plan.items():
        if rank == DENSE:
            spent.layers[name].weight.requires_grad_(True)

    def update(name: str, weight: Tensor) -> LowRankUpdate:
        made = LowRankUpdate(weight, int(plan[name]), 1.0)
        if not weight.is_meta:
            drawn = np.random.default_rng([seed, zlib.crc32(name.encode())]).standard_normal(made.down.shape)
            made.down.data.copy_(torch.from_numpy(drawn / made.columns**0.5))
        return made

    attach({name: spent.layers[name] for name, rank in plan.items() if rank not in (0, DENSE)}, update)


def kinds_of(network: nn.Module, spent: Spending) -> dict[str, set[str]]:
    """Names of parameters by kind: weights of layers, and what always trains as biases, norms, kernels of depthwise
    convolutions and other variables."""
    owners = dict(network.named_modules())
    kinds: dict[str, set[str]] = {"weights": {f"{name}.weight" for name in adapted_layers(network)} - spent.always}
    kinds |= {"biases": set(), "norms": set(), "depthwise": set(), "variables": set()}
    for name in spent.always:
        owner, _, own = name.rpartition(".")
        if "norm" in type(owners[owner]).__name__.lower():
            kinds["norms"].add(name)
        elif own == "bias":
            kinds["biases"].add(name)
        else:
            kinds["depthwise" if isinstance(owners[owner], nn.Conv2d) else "variables"].add(name)
    return kinds


def _at_once(bench: Workbench) -> int:
    return 1 if bench.device.type == "cpu" else AT_ONCE


def _matrices(spent: Spending) -> dict[str, Matrix]:
    return {name: Matrix(*matrix_shape(layer.weight)) for name, layer in spent.layers.items()}
