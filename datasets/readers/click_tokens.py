"""From the text of a click log to tokens, from tokens to ids: number buckets, calendar fields, rare tokens."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.datasets.readers.click_text import Block

LABELS = {"0": 0.0, "0.0": 0.0, "1": 1.0, "1.0": 1.0}
CALENDAR = ("weekday", "weekend")
"""Fields that a time column makes beside the hour, which takes its own place."""


@dataclass(frozen=True)
class Recipe:
    """How the columns of a click log become `fields` of tokens.

    A value x of a `numeric` field becomes floor(ln(x)^2) where x > 2 and its whole part elsewhere; where there is none, it
    counts as `missing` (a number, or the empty string for a token of its own). The column `calendar` holds times as
    YYMMDDHH; it becomes the hour, and adds the fields weekday (0 is Sunday) and weekend (1 on Saturday and Sunday).
    """

    fields: tuple[str, ...]
    numeric: tuple[str, ...] = ()
    missing: str = ""
    calendar: str = ""

    @property
    def columns(self) -> list[str]:
        """The columns of text that the fields are made of."""
        return [name for name in self.fields if not (self.calendar and name in CALENDAR)]

    def tokens(self, field: str, block: Block) -> tuple[pa.Array, np.ndarray]:
        """Tokens of a field [u] (one may stand there twice), and of each row the place of its token, int32 [n].

        Raises BenchmarkError, with file, row and column, for a value that is no number or no time.
        """
        derived = self.calendar and field in (self.calendar, *CALENDAR)
        column = self.calendar if derived else field
        values, index = block.distinct(column)
        if derived:
            place = (self.calendar, *CALENDAR).index(field)
            times = [_time(value, column, block)[place] for value in values.to_pylist()]
            return pa.array(times, pa.large_string()), index
        if field in self.numeric:
            return self._buckets(values, column, block), index
        return values, index

    def _buckets(self, values: pa.Array, column: str, block: Block) -> pa.Array:
        trimmed = pc.utf8_trim_whitespace(values)
        absent = pc.equal(trimmed, "")
        try:
            numbers = pc.cast(pc.if_else(absent, self.missing or "0", trimmed), pa.float64()).to_numpy()
        except pa.ArrowInvalid:
            numbers = np.array([np.nan])
        if not np.isfinite(numbers).all():
            wrong = next(value for value in values.to_pylist() if value.strip() and not _is_finite(value))
            raise block.mistake(column, wrong, "This field is numeric: a number belongs there, or nothing.")
        tokens = pc.cast(pa.array(buckets(numbers)), pa.large_string())
        return tokens if self.missing else pc.if_else(absent, pa.scalar("", pa.large_string()), tokens)


def buckets(numbers: np.ndarray) -> np.ndarray:
    """floor(ln(x)^2) where x > 2, else the whole part of x: float64 [n] to int64 [n].

    The winners of the Criteo challenge had it (Juan, Zhuang and Chin 2014); BARS uses it for Criteo_x4.
    """
    found = np.trunc(np.minimum(numbers, 2)).astype(np.int64)
    large = numbers > 2
    found[large] = np.floor(np.log(numbers[large]) ** 2)
    return found


def labels(block: Block, column: str) -> np.ndarray:
    """The labels as float32 [n]; raises BenchmarkError, with the row, for anything but 0 and 1."""
    values, index = block.distinct(column)
    spelled = values.to_pylist()
    if wrong := [value for value in spelled if value not in LABELS]:
        raise block.mistake(column, wrong[0], "A label is 0 or 1.")
    return np.array([LABELS[value] for value in spelled], np.float32)[index]


class TokenCounts:
    """How often each token of a field occurs, in memory that grows with the number of different tokens alone."""

    LEAST = 2**18
    """Tokens that may wait to be added up."""

    def __init__(self) -> None:
        self._waiting: list[pa.Table] = []
        self._distinct = self._rows = 0

    def add(self, tokens: pa.Array, index: np.ndarray) -> None:
        """Counts a block, given as `Recipe.tokens` gives it."""
        counts = np.bincount(index, minlength=len(tokens))
        self._waiting.append(pa.table({"token": tokens, "count": counts}))
        self._rows += len(tokens)
        # As many may wait as there are known ones, so that each is moved a fixed number of times on average.
        if self._rows > max(2 * self._distinct, self.LEAST):
            self._sum()

    def kept(self, min_count: int) -> tuple[pa.Array, np.ndarray]:
        """Tokens that occur `min_count` times or more, sorted as strings, and their counts int64."""
        table = self._sum()
        table = table.filter(pc.greater_equal(table["count"], min_count)).sort_by("token").combine_chunks()
        return _whole(table["token"]), table["count"].to_numpy()

    def _sum(self) -> pa.Table:
        joined = pa.concat_tables(self._waiting).group_by("token", use_threads=False).aggregate([("count", "sum")])
        self._waiting = [joined.rename_columns({"count_sum": "count"}).select(["token", "count"])]
        self._distinct = self._rows = joined.num_rows
        return self._waiting[0]


def encode(recipe: Recipe, vocabulary: Mapping[str, pa.Array], block: Block) -> np.ndarray:
    """Ids int32 [n, fields]: the place of a token in the field's vocabulary counted from 1, 0 where it is not there."""
    ids = np.empty((len(block), len(recipe.fields)), np.int32)
    for position, field in enumerate(recipe.fields):
        tokens, index = recipe.tokens(field, block)
        found = pc.index_in(tokens, value_set=vocabulary[field]).fill_null(-1).to_numpy() + 1
        ids[:, position] = found[index]
    return ids


@dataclass(frozen=True)
class TokenEncoder:
    """What encodes a user's own table as the training data were: a recipe and its vocabulary."""

    recipe: Recipe
    vocabulary: Mapping[str, pa.Array]

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> TokenEncoder:
        """From a schema that holds its vocabulary or tells where in the data cache it lies."""
        settings = schema["recipe"]
        recipe = Recipe(tuple(schema["fields"]), tuple(schema["numeric"]), settings["missing"], settings["calendar"])
        if "vocabulary" in schema:
            return cls(
                recipe, {name: pa.array(schema["vocabulary"][name], pa.large_string()) for name in recipe.fields}
            )
        from benchmarks.datasets.readers.click_store import referenced_vocabulary

        return cls(recipe, referenced_vocabulary(schema))

    @property
    def columns(self) -> list[str]:
        """The columns that a table must have."""
        return self.recipe.columns

    def encode(self, columns: Mapping[str, Sequence[str]]) -> np.ndarray:
        """Ids int32 [n, fields] of columns of strings."""
        return encode(self.recipe, self.vocabulary, Block.of({name: columns[name] for name in self.columns}))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _is_finite(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _time(text: str, column: str, block: Block) -> tuple[str, str, str]:
    """Hour, weekday and weekend of a time YYMMDDHH."""
    try:
        if len(text) != len("YYMMDDHH"):
            raise ValueError(text)
        when = datetime.datetime.strptime(text, "%y%m%d%H")
    except ValueError:
        raise block.mistake(column, text, "A time is YYMMDDHH, as 14102100.") from None
    weekday = when.isoweekday() % 7
    return str(when.hour), str(weekday), str(int(weekday in (0, 6)))
