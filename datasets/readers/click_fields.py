"""Categorical fields of click logs: a vocabulary per field, the encoding to table rows, the fold."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.errors import BenchmarkError

Tokens = Mapping[str, Sequence[str]]
"""One token per row and field, by the name of the field."""


class Encoder(Protocol):
    """Columns of tokens to ids int32 [n, fields]."""

    @property
    def columns(self) -> list[str]: ...

    def encode(self, columns: Tokens) -> np.ndarray: ...


@dataclass(frozen=True)
class Vocabulary:
    """Tokens of every field in the order of their ids; with `oov`, id 0 is kept for tokens that were not in train.

    Tokens of the `numeric` fields are numbers: "7", "07" and "7.0" are one token.
    """

    tokens: Mapping[str, Sequence[str]]
    oov: bool = True
    numeric: tuple[str, ...] = ()

    @classmethod
    def fit(cls, columns: Tokens, *, numeric: Sequence[str] = ()) -> Vocabulary:
        """The vocabulary of a training set: per field its tokens sorted as strings and numbered from 1."""
        plain = _canonical(columns, numeric)
        return cls({name: sorted(set(column)) for name, column in plain.items()}, oov=True, numeric=tuple(numeric))

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary that the schema of a training set holds."""
        tokens = {name: schema["vocabulary"][name] for name in schema["fields"]}
        return cls(tokens, oov=schema["oov"], numeric=tuple(schema["numeric"]))

    @property
    def fields(self) -> list[str]:
        """Names of the fields in the order of the columns of `encode`."""
        return list(self.tokens)

    @property
    def columns(self) -> list[str]:
        """The columns that a table must have."""
        return self.fields

    @property
    def cardinalities(self) -> list[int]:
        """Table rows of every field, the OOV row included."""
        return [len(tokens) + self.oov for tokens in self.tokens.values()]

    def encode(self, columns: Tokens) -> np.ndarray:
        """Ids as int32 [n, fields]; columns that are no field are ignored.

        Raises BenchmarkError for a missing column, a numeric column that holds something else, and, where there is no
        OOV row, a token that the vocabulary lacks.
        """
        _require(self.fields, columns, "The data")
        plain = _canonical({name: columns[name] for name in self.fields}, self.numeric)
        ids = np.empty((len(plain[self.fields[0]]), len(self.fields)), np.int32)
        for position, (name, tokens) in enumerate(self.tokens.items()):
            index = {token: number for number, token in enumerate(tokens, start=int(self.oov))}
            if not self.oov and (unknown := [token for token in plain[name] if token not in index]):
                raise BenchmarkError(
                    f"Row {list(plain[name]).index(unknown[0]) + 1} has {name} = '{unknown[0]}', which is none of the "
                    f"{len(tokens):,} values '{tokens[0]}' to '{tokens[-1]}', and this data set has no row for others."
                )
            ids[:, position] = [index.get(token, 0) for token in plain[name]]
        return ids


def encoder_of(schema: Mapping[str, Any]) -> Encoder:
    """What encodes a user's own table as the training data of that schema were encoded."""
    if "recipe" not in schema:
        return Vocabulary.of(schema)
    from benchmarks.datasets.readers.click_tokens import TokenEncoder  # it brings Arrow

    return TokenEncoder.of(schema)


def click_fold(
    vocabulary: Vocabulary,
    parts: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    *,
    user_field: str,
    item_field: str,
    name: str = "all",
) -> Fold:
    """The fold of encoded clicks: `parts` gives (row ids [n], ids [n, fields], labels [n]) of train, val and test.

    Columns of a split are `ids` int32 [n, fields] and `label` float32 [n]; the unit is the user's id. The schema tells
    fields, cardinalities (table rows), counts of every id in train, vocabulary, and which field is user and item.
    """
    user = vocabulary.fields.index(user_field)
    splits = {
        part: Split(
            {"ids": np.ascontiguousarray(ids, np.int32), "label": label.astype(np.float32)}, rows, ids[:, user].copy()
        )
        for part, (rows, ids, label) in parts.items()
    }
    train_ids = splits["train"].columns["ids"]
    cardinalities = vocabulary.cardinalities
    counts = {
        field: np.bincount(train_ids[:, position], minlength=rows).astype(np.int64)
        for position, (field, rows) in enumerate(zip(vocabulary.fields, cardinalities, strict=True))
    }
    schema = {
        "fields": vocabulary.fields,
        "cardinalities": cardinalities,
        "user_field": user_field,
        "item_field": item_field,
        "oov": vocabulary.oov,
        "numeric": list(vocabulary.numeric),
        "counts": counts,
        "vocabulary": {field: list(tokens) for field, tokens in vocabulary.tokens.items()},
        "label": "click",
    }
    return Fold(name, TrainingData(splits["train"], splits["val"], schema), splits["test"])


def read_csv(path: Path, fields: Sequence[str], *, numeric: Sequence[str] = ()) -> dict[str, list[str]]:
    """Columns of a CSV file with a header line, as strings; columns that are no field are left out.

    Raises BenchmarkError for a missing column, a row of another length (with its line), and a numeric column that holds
    something else (with line, column and value).
    """
    columns: dict[str, list[str]] = {name: [] for name in fields}
    try:
        with path.open(newline="", encoding="utf-8-sig") as opened:
            reader = csv.reader(opened, strict=True)
            header = next(reader, [])
            _require(fields, header, str(path))
            if twice := [name for name in fields if header.count(name) > 1]:
                raise BenchmarkError(f"{path} names the column {twice[0]} twice. Remove one.")
            places = {name: header.index(name) for name in fields}
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    raise BenchmarkError(
                        f"{path}, line {reader.line_num}: {len(row)} values under a header of {len(header)} columns."
                    )
                for name, place in places.items():
                    token = row[place]
                    columns[name].append(
                        _number(token, name, f"{path}, line {reader.line_num}") if name in numeric else token
                    )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BenchmarkError(f"{path} cannot be read as CSV in UTF-8: {error}.") from error
    if not columns[fields[0]]:
        raise BenchmarkError(f"{path} holds a header and no rows.")
    return columns


def _require(fields: Sequence[str], given: Sequence[str] | Tokens, where: str) -> None:
    if missing := [name for name in fields if name not in given]:
        raise BenchmarkError(
            f"{where} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}. "
            f"Given: {', '.join(given) or 'none'}. Required: {', '.join(fields)}."
        )


def _canonical(columns: Tokens, numeric: Sequence[str]) -> dict[str, Sequence[str]]:
    """The columns with one spelling for every number."""
    plain = dict(columns)
    for name in numeric:
        spelled = {token: _number(token, name, f"Row {columns[name].index(token) + 1}") for token in set(columns[name])}
        plain[name] = [spelled[token] for token in columns[name]]
    return plain


def _number(token: str, column: str, where: str) -> str:
    try:
        value = float(token)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BenchmarkError(f"{where}: column '{column}' holds '{token}', which is not a number.")
    return str(int(value)) if value.is_integer() else repr(value)
