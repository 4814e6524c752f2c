"""HyperMAE: an encoder that first learns to fill in hidden bands and positions, without labels, and then the task.

LESS ViT, arXiv 2503.12843 and arXiv 2605.18541. It begins from scratch and sees the training samples of the run alone, so that
what it gains over `none` is gained from their pixels, and its cost is on the record.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, cast

import torch
from msgspec import Meta
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.hyperspectral.task import Hyperspectral
from benchmarks.method import Objective, Train, Workbench
from benchmarks.models.hyperspectral.hyper_mae import HyperMAE
from benchmarks.models.hyperspectral.less_encoder import Encoder
from benchmarks.solver import NetworkSolver, Solver
from benchmarks.task import Batch

Share = Annotated[float, Meta(ge=0, lt=1)]
Count = Annotated[int, Meta(ge=1)]


@dataclass(frozen=True)
class Pretrained(Train):
    """The configured model, its encoder pretrained for `epochs` at `learning_rate`; what is not given is as `trainer` says.

    `protocol=upstream` leaves the rotation of the decoder out, as the authors' code does.
    """

    epochs: Annotated[int, Meta(ge=0)] | None = None
    learning_rate: Annotated[float, Meta(gt=0)] | None = None
    channel_ratio: Share = 0.75
    position_ratio: Share = 0.75
    sampling: tuple[Share, Share] | None = None
    decoder_dim: Count = 64
    decoder_depth: Count = 1
    decoder_heads: Count = 4
    rotary_decoder: bool = True
    weigh: str = "axes"
    normalise: bool = False

    def build(self, bench: Workbench) -> nn.Module:
        return bench.fresh()

    def check(self, bench: Workbench) -> None:
        self.masked(self.build(bench), bench)

    def masked(self, network: nn.Module, bench: Workbench) -> HyperMAE:
        """The network's own encoder with a decoder behind it."""
        encoder = getattr(network, "encoder", None)
        if not isinstance(encoder, Encoder):
            raise BenchmarkError(
                f"method=hyper_mae pretrains an encoder over bands and positions, which {type(network).__name__} has not. "
                "Type model=less_vit, of any model.operator."
            )
        try:
            return HyperMAE(
                encoder,
                self.decoder_dim,
                self.decoder_depth,
                self.decoder_heads,
                self.channel_ratio,
                self.position_ratio,
                self.sampling,
                self.rotary_decoder and bench.protocol != "upstream",
                weigh=self.weigh,
                normalise=self.normalise,
            )
        except ValueError as error:
            raise BenchmarkError(f"HyperMAE cannot be built with these method.* settings: {error}.") from error

    def produce(self, bench: Workbench) -> Solver:
        network = self.build(bench)
        if self.epochs != 0:
            asked = {"max_epochs": self.epochs, "learning_rate": self.learning_rate}
            plan = {key: value for key, value in asked.items() if value is not None}
            bench.fit(
                self.masked(network, bench),
                "pretrain",
                Objective(partial(reconstruction, seen=cast(Hyperspectral, bench.task).seen), plan),
            )
        bench.fit(network)
        return NetworkSolver(bench.task, network, bench.data.schema)


def reconstruction(network: nn.Module, batch: Batch, seen: Callable[[Tensor], Tensor]) -> Tensor:
    """The loss of a HyperMAE on what is `seen` of a batch of cubes, labels not; of several layouts the mean over samples."""
    assert isinstance(network, HyperMAE)
    layouts, which = batch["bands"].nan_to_num(-1.0).unique(dim=0, return_inverse=True)
    losses = []
    for number, bands in enumerate(layouts):
        given, rows = bands > 0, which == number
        found = network(seen(batch["cube"][rows][:, given]), bands[given])
        losses.append(network.loss(found) * rows.sum() / len(rows))
    return torch.stack(losses).sum()
