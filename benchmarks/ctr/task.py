"""Click-through-rate prediction: categorical fields in, the probability of a click out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from benchmarks.ctr.metrics import METRICS, UNIT
from benchmarks.datasets.bundle import Split
from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.build import build
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.ctr.fused import fuse
from benchmarks.task import Batch, Outputs, Task


class ClickNetwork(Protocol):
    """What the loss asks of a network beside its logits: half the weight decay's factor, and the parameters it acts on."""

    regularizer: float

    def regularised(self) -> Iterable[nn.Parameter]: ...


class CTR(Task):
    """Binary clicks on `ids` [batch, fields]; networks answer logits [batch]."""

    metrics = METRICS
    unit = UNIT
    target_names = ("label",)
    latency_batches = (1, 256, 4096)

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        options = {key: value for key, value in settings.items() if key != "regularizer"}
        network = build(model, schema["cardinalities"], **options)
        cast(ClickNetwork, network).regularizer = float(settings["regularizer"])
        return network

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy and half the squared norm of what the model regularises, whole tables at every step."""
        loss = binary_cross_entropy_with_logits(network(batch["ids"]), batch["label"])
        clicks = cast(ClickNetwork, network)
        squared = sum(parameter.square().sum() for parameter in clicks.regularised())
        return loss + 0.5 * clicks.regularizer * squared

    def table_decay(self, network: nn.Module) -> float:
        """What L2 adds to the gradient of a row: the loss itself then leaves the tables out."""
        return cast(ClickNetwork, network).regularizer

    def softened(self, batch: Batch, answers: Outputs, share: float) -> Batch:
        """Cross-entropy is linear in its labels, so that mixed labels give the mixed losses (Hinton et al. 2015) in one pass."""
        return {**batch, "label": torch.lerp(batch["label"], answers["prediction"].to(batch["label"]), share)}

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        return {"prediction": torch.sigmoid(network(batch["ids"]))}

    def example(self, schema: Mapping[str, Any], size: int) -> Batch:
        generator = torch.Generator().manual_seed(0)
        fields = [torch.randint(rows, (size,), generator=generator) for rows in schema["cardinalities"]]
        return {"ids": torch.stack(fields, 1).to(torch.int32)}

    def fused(self, network: nn.Module) -> nn.Module:
        """One table and merged products (see `fuse`)."""
        return fuse(network)

    def load_weights(self, network: nn.Module, path: Path) -> None:
        from benchmarks.models.ctr.published import load_reference_deepfm

        if not isinstance(network, DeepFM):
            raise BenchmarkError(
                f"{path} is read as reference weights of a DeepFM; the network is a {type(network).__name__}. "
                "Type model=deepfm, or leave weights out."
            )
        load_reference_deepfm(network, path)

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """A CSV file with the columns that the training data's fields were made of; unseen values take the OOV row."""
        from benchmarks.datasets.readers.click_fields import encoder_of, read_csv

        encoder = encoder_of(schema)
        columns = read_csv(path, encoder.columns)
        ids = encoder.encode(columns)
        rows = np.arange(len(ids))
        return columns, Split({"ids": ids}, rows, rows)

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """The input's columns with the click probability behind them."""
        import csv

        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow([*raw, "prediction"])
            for row in zip(*raw.values(), outputs["prediction"], strict=True):
                writer.writerow([*row[:-1], f"{row[-1]:.6f}"])
