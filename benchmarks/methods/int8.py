"""Rows of one byte an entry: four times smaller and nearly free, so what every low-rank claim on tables has to beat."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from benchmarks.method import Compress, Workbench
from benchmarks.methods.tables import tables_of
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.surgery import replace_module


@dataclass(frozen=True)
class Int8(Compress):
    """All tables rounded to int8, first-order tables too. What is not a table may be fine-tuned around them, as any base."""

    def check(self, bench: Workbench) -> None:
        tables_of(bench.fresh())

    def compress(self, network: nn.Module, bench: Workbench) -> nn.Module:
        quantise(network)
        return network


def quantise(network: nn.Module) -> None:
    """Puts int8 rows in the place of every plain table of the network."""
    for name, table in tables_of(network).items():
        replace_module(network, name, Int8FieldEmbedding.of(table))
