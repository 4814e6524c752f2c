"""Projections of a low-rank table in the weights of the layer that reads its rows: fewer inputs, and one product less."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from benchmarks.models.lowrank.layers import LowRankFieldEmbedding


class MergedLinear(nn.Linear):
    """A linear layer on the codes z of a low-rank table, side by side: [b, F * rank] -> [b, out_features]."""

    def blueprint(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {
            "in_features": self.in_features,
            "out_features": self.out_features,
            "bias": self.bias is not None,
        }


def embed(table: nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows [b, F, d] for interactions between fields, and what the merged layer reads, [b, F * d] or [b, F * rank].

    A network whose MLP reads all rows side by side names that layer `reads_rows` and looks its table up by this function.
    """
    if isinstance(table, LowRankFieldEmbedding) and table.merged:
        z = table.z(ids)
        return table.expand(z), z.flatten(1)
    rows = table(ids)
    return rows, rows.flatten(1)


def merge_projections(table: LowRankFieldEmbedding, layer: nn.Linear) -> MergedLinear:
    """The layer that does on codes what `layer` does on rows, and marks the table as `merged`.

    With rows z P_f + mu_f and the block W_f of a field, W_f (z P_f + mu_f) = (W_f P_f^T) z + W_f mu_f (Yu et al., Unified
    Low-rank Compression Framework for Click-through Rate Prediction, KDD 2024). Both forms train differently from there:
    this one has its own copy of the projections.
    """
    fields = len(table.projection)
    merged = MergedLinear(fields * table.rank, layer.out_features).to(layer.weight)
    with torch.no_grad():
        blocks = layer.weight.double().unflatten(1, (fields, table.embedding_dim))
        merged.weight.copy_(torch.einsum("ofd,frd->ofr", blocks, table.projection.double()).flatten(1))
        constant = torch.zeros(layer.out_features, dtype=torch.float64, device=layer.weight.device)
        if layer.bias is not None:
            constant += layer.bias.double()
        if table.mean is not None:
            constant += torch.einsum("ofd,fd->o", blocks, table.mean.double())
        merged.bias.copy_(constant)
    table.merged = True
    return merged
