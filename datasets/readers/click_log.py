"""A click log as it lies on disk: which files are train, val and test, or how one log is split."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.datasets.readers.click_text import Block, TextTable
from benchmarks.datasets.readers.click_tokens import Recipe
from benchmarks.errors import BenchmarkError

PARTS = ("train", "val", "test")
TENTHS = {"train": range(8), "val": range(8, 9), "test": range(9, 10)}


@dataclass(frozen=True)
class ClickLog:
    """The files of each part, or of `train` alone: those rows are then split at random, each by itself, 8 : 1 : 1.

    `user` names the field of the user, "" for none.
    """

    tables: Mapping[str, Sequence[TextTable]]
    label: str
    recipe: Recipe
    user: str = ""
    seed: int = 0

    @property
    def columns(self) -> list[str]:
        """All columns that are read."""
        return [self.label, *self.recipe.columns]

    @property
    def split_at_random(self) -> bool:
        """Whether one log is split, rather than given in parts."""
        return set(self.tables) == {"train"}

    def check(self) -> None:
        """Raises BenchmarkError, before any heavy work, for an empty file and for one that lacks a column."""
        for tables in self.tables.values():
            for table in tables:
                table.require(self.columns)

    def size(self, parts: Sequence[str]) -> int:
        """Bytes of the files that these parts are read from."""
        wanted = ["train"] if self.split_at_random else parts
        return sum(table.path.stat().st_size for part in wanted for table in self.tables[part])

    def blocks(
        self, parts: Sequence[str], advance: Callable[[int], None] = lambda _: None
    ) -> Iterator[tuple[str, Block, np.ndarray]]:
        """Part, rows and sample ids int64 [n], in the order of the files.

        Sample ids number the rows of a part over its files, or those of the whole log where it is split at random.
        """
        if self.split_at_random:
            yield from self._split(parts, advance)
            return
        for part in parts:
            seen = 0
            for table in self.tables[part]:
                for block in table.blocks(self.columns, advance):
                    yield part, block, np.arange(seen, seen + len(block))
                    seen += len(block)

    def _split(self, parts: Sequence[str], advance: Callable[[int], None]) -> Iterator[tuple[str, Block, np.ndarray]]:
        # Raw bits, whose stream NumPy promises to keep; rows are drawn one by one, as the log's length is not known yet.
        bits = np.random.PCG64(self.seed)
        seen = 0
        for table in self.tables["train"]:
            for block in table.blocks(self.columns, advance):
                tenth = ((bits.random_raw(len(block)) >> np.uint64(32)) * np.uint64(10)) >> np.uint64(32)
                for part in parts:
                    chosen = np.isin(tenth, TENTHS[part])
                    if chosen.any():
                        yield part, block.take(chosen), seen + np.flatnonzero(chosen)
                seen += len(block)


def log_of(
    files: Mapping[str, Sequence[TextTable]], label: str, recipe: Recipe, *, user: str, item: str, seed: int
) -> ClickLog:
    """The log of some parts; raises BenchmarkError where a part is missing or a user or item is no field."""
    given = {part: tables for part, tables in files.items() if tables}
    if set(given) not in ({"train"}, set(PARTS)):
        raise BenchmarkError(
            f"The data set names files for {', '.join(given) or 'no part'}. Name files for train, val and test, or for "
            "train alone, which is then split at random."
        )
    for role, name in (("user", user), ("item", item)):
        if name and name not in recipe.fields:
            raise BenchmarkError(f"The {role} field '{name}' is none of the fields: {', '.join(recipe.fields)}.")
    if absent := [name for name in recipe.numeric if name not in recipe.fields]:
        raise BenchmarkError(f"The numeric field '{absent[0]}' is none of the fields: {', '.join(recipe.fields)}.")
    return ClickLog(given, label, recipe, user, seed)
