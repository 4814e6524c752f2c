"""Delimited text in blocks: columns of strings by name, from files of any size, gzip included."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.errors import BenchmarkError

BLOCK = 2**24
"""Bytes of text that are parsed at a time; no row may be longer. Arrow reads several blocks ahead, so memory is 20 times it."""
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Block:
    """Some rows of a file: `columns` of large strings [n] without nulls, `rows` int64 [n] their numbers in the file.

    The first row of a file is row 1, its header included; empty lines do not count.
    """

    path: str
    rows: np.ndarray
    columns: pa.RecordBatch

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[str]], source: str = "The data") -> Block:
        """Columns that are in memory, numbered from 1."""
        batch = pa.record_batch({name: pa.array(column, pa.large_string()) for name, column in columns.items()})
        return cls(source, np.arange(1, batch.num_rows + 1), batch)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: np.ndarray) -> Block:
        """The rows where the mask [n] is true."""
        return Block(self.path, self.rows[chosen], self.columns.filter(pa.array(chosen)))

    def distinct(self, column: str) -> tuple[pa.Array, np.ndarray]:
        """The different strings of a column [u], and of each row the place of its string among them, int32 [n]."""
        encoded = self.columns.column(column).dictionary_encode()
        return encoded.dictionary, encoded.indices.to_numpy()

    def mistake(self, column: str, value: str, demand: str) -> BenchmarkError:
        """The error for a value, with the first row in which it stands."""
        strings, index = self.distinct(column)
        row = self.rows[np.flatnonzero(index == strings.to_pylist().index(value))[0]]
        return BenchmarkError(f"{self.path}, row {row}: column '{column}' holds '{value}'. {demand}")


@dataclass(frozen=True)
class TextTable:
    """A delimited file, plain or gzip. `names` are its columns where it has no header line."""

    path: Path
    separator: str = ","
    names: tuple[str, ...] = ()

    def header(self) -> list[str]:
        """Names of the columns; raises BenchmarkError for an empty file and for a name that appears twice."""
        if self.names:
            return list(self.names)
        try:
            with self._unpacked() as opened:
                line = opened.readline(BLOCK).decode("utf-8-sig")
            names = next(csv.reader([line], delimiter=self.separator), [])
        except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
            raise BenchmarkError(f"{self.path} cannot be read as text in UTF-8: {error}.") from error
        if not names:
            raise BenchmarkError(f"{self.path} is empty. Its first line must name the columns.")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise BenchmarkError(f"{self.path} names the column {twice[0]} twice. Remove one.")
        return names

    def require(self, columns: Sequence[str]) -> None:
        """Raises BenchmarkError where the file lacks one of the columns."""
        given = self.header()
        if missing := [name for name in columns if name not in given]:
            raise BenchmarkError(
                f"{self.path} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}. "
                f"Given: {', '.join(given)}. Required: {', '.join(columns)}."
            )

    def blocks(self, columns: Sequence[str], advance: Callable[[int], None] = lambda _: None) -> Iterator[Block]:
        """The file's rows in their order, some 16 MB of text at a time; `advance` is told the bytes that were read.

        Raises BenchmarkError, with the row where it is known, for a row of another length, text that is not UTF-8, an
        archive that is cut short, and a file without rows.
        """
        ragged: list[pa.csv.InvalidRow] = []

        def refuse(row: pa.csv.InvalidRow) -> str:
            ragged.append(row)
            return "error"

        seen = 0 if self.names else 1
        start = seen
        try:
            with self.path.open("rb") as file:
                packed = file.read(2) == GZIP
                file.seek(0)
                stream = pa.PythonFile(_Counted(file, advance), "r")
                reader = pa.csv.open_csv(
                    pa.CompressedInputStream(stream, "gzip") if packed else stream,
                    # One thread: only then does Arrow know the number of a wrong row.
                    read_options=pa.csv.ReadOptions(
                        use_threads=False, block_size=BLOCK, column_names=list(self.names) or None
                    ),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=self.separator,
                        quote_char='"' if self.separator == "," else False,
                        invalid_row_handler=refuse,
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        strings_can_be_null=False,
                        include_columns=list(columns),
                        column_types=dict.fromkeys(columns, pa.large_string()),
                    ),
                )
                for batch in reader:
                    rows = np.arange(seen + 1, seen + 1 + batch.num_rows)
                    seen += batch.num_rows
                    yield Block(str(self.path), rows, batch)
        except (pa.ArrowException, OSError) as error:
            if ragged:
                wrong = ragged[0]
                raise BenchmarkError(
                    f"{self.path}, row {wrong.number}: {wrong.actual_columns} values, where {wrong.expected_columns} "
                    f"columns belong. The row begins '{wrong.text[:60]}'."
                ) from None
            if "Empty CSV" not in str(error):
                raise BenchmarkError(f"{self.path} cannot be read after row {seen}: {error}.") from error
        if seen == start:
            raise BenchmarkError(f"{self.path} holds no rows{'' if self.names else ' under its header'}.")

    def _unpacked(self) -> IO[bytes]:
        with self.path.open("rb") as file:
            packed = file.read(2) == GZIP
        return cast(IO[bytes], gzip.open(self.path)) if packed else self.path.open("rb")


class _Counted:
    """A binary file for Arrow that tells how many bytes were read."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file, self._advance = file, advance

    @property
    def closed(self) -> bool:
        return self._file.closed

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self._advance(len(content))
        return content

    def close(self) -> None:
        """Left to the context that opened the file."""
