"""FinalMLP: two gated MLPs whose outputs meet in a bilinear form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.mlp import MLP, HiddenLayer, xavier_linear


class ContextGate(nn.Module):
    """Gates in (0, 2) from an MLP on embeddings of the context fields' own: ids [b, F] -> [b, out_features].

    `context` are positions of fields. Without any, one learned vector stands for them and the gates [1, out_features] are
    the same for every sample.
    """

    fields: torch.Tensor

    def __init__(
        self,
        cardinalities: Sequence[int],
        context: Sequence[int],
        embedding_dim: int,
        hidden_units: Sequence[int],
        out_features: int,
        std: float,
    ) -> None:
        super().__init__()
        if not all(0 <= field < len(cardinalities) for field in context):
            raise BenchmarkError(
                f"The context {list(context)} of a gate names a field that does not exist: the {len(cardinalities)} fields of "
                f"these data are numbered 0 to {len(cardinalities) - 1}. Type for example model.first_context=[0]."
            )
        self.register_buffer("fields", torch.tensor(list(context), dtype=torch.int64), persistent=False)
        if context:
            self.embedding = FieldEmbedding([cardinalities[field] for field in context], embedding_dim, std)
        else:
            self.constant = nn.Parameter(torch.empty(1, embedding_dim))
            nn.init.normal_(self.constant, std=std)
        self.mlp = MLP(max(1, len(context)) * embedding_dim, hidden_units, batch_norm=False, out_features=out_features)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        context = self.embedding(ids[:, self.fields]).flatten(1) if len(self.fields) else self.constant
        return 2 * torch.sigmoid(self.mlp(context))

    def tables(self) -> Iterator[nn.Parameter]:
        """The parameters that are looked up by id."""
        if len(self.fields):
            yield from self.embedding.tables()


class BilinearFusion(nn.Module):
    """w . x + v . y + b + sum over heads k of x_k^T W_k y_k: [b, first] and [b, second] -> logits [b].

    Heads share both widths evenly. The bias is held twice, once with each vector.
    """

    def __init__(self, first: int, second: int, heads: int) -> None:
        super().__init__()
        if first % heads or second % heads:
            raise BenchmarkError(
                f"Widths {first} and {second} cannot be shared evenly by {heads} heads. Give the last of model.hidden_units and "
                "of model.second_hidden_units multiples of model.heads, for example 400, 100 and 5."
            )
        self.heads = heads
        self.first, self.second = xavier_linear(first, 1), xavier_linear(second, 1)
        self.weight = nn.Parameter(torch.empty(heads, first // heads, second // heads))
        # Xavier's deviation for one layer that reads all products x_i y_j, as the authors have it. That for each matrix alone
        # is some ten times as large, and the network starts far from the sum of its two streams.
        nn.init.normal_(self.weight, std=(2 / (self.weight.numel() + 1)) ** 0.5)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        left = torch.einsum("bki,kij->bkj", x.unflatten(1, (self.heads, -1)), self.weight)
        return (left.flatten(1) * y).sum(dim=1) + (self.first(x) + self.second(y)).squeeze(1)


class FinalMLP(nn.Module):
    """Two streams of hidden layers on differently gated embeddings, fused bilinearly: ids [b, F] -> logits [b].

    Mao et al., FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023. The first stream has
    `hidden_units` and gates from the fields `first_context` (users), the second `second_hidden_units` and gates from
    `second_context` (items).
    """

    # The gates' tables hold some of the fields only, and what compresses tables counts the ids of all.
    keep_dense: ClassVar[tuple[str, ...]] = (
        "*_gate.embedding",
        "*_gate.mlp.hidden.0.linear",
        "*_stream.0.linear",
        "fusion.*",
    )

    def __init__(
        self,
        cardinalities: Sequence[int],
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (400,),
        second_hidden_units: Sequence[int] = (100,),
        gate_hidden_units: Sequence[int] = (400,),
        first_context: Sequence[int] = (0,),
        second_context: Sequence[int] = (1,),
        heads: int = 5,
        dropout: float = 0.4,
        batch_norm: bool = True,
        std: float = 1e-4,
    ) -> None:
        super().__init__()
        features = len(cardinalities) * embedding_dim

        def gate(context: Sequence[int]) -> ContextGate:
            return ContextGate(cardinalities, context, embedding_dim, gate_hidden_units, features, std)

        def stream(units: Sequence[int]) -> nn.Sequential:
            widths = pairwise([features, *units])
            return nn.Sequential(*(HiddenLayer(i, o, dropout, batch_norm, nn.ReLU) for i, o in widths))

        self.embedding = FieldEmbedding(cardinalities, embedding_dim, std)
        self.first_gate, self.second_gate = gate(first_context), gate(second_context)
        self.first_stream, self.second_stream = stream(hidden_units), stream(second_hidden_units)
        self.fusion = BilinearFusion([features, *hidden_units][-1], [features, *second_hidden_units][-1], heads)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        embeddings = self.embedding(ids).flatten(1)
        first = self.first_stream(embeddings * self.first_gate(ids))
        second = self.second_stream(embeddings * self.second_gate(ids))
        return self.fusion(first, second)

    def regularised(self) -> Iterable[nn.Parameter]:
        """What L2 acts on: the tables, those of the gates included."""
        yield from self.embedding.tables()
        yield from self.first_gate.tables()
        yield from self.second_gate.tables()
