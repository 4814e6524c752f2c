"""Click logs too large for memory: encoded once into NumPy files in the data cache, and read as memory maps."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from benchmarks.datasets import cache
from benchmarks.datasets.bundle import Fold, Split, TrainingData
from benchmarks.datasets.checksums import Ledger
from benchmarks.datasets.lock import locked
from benchmarks.datasets.progress import bar
from benchmarks.datasets.readers.click_log import PARTS, ClickLog
from benchmarks.datasets.readers.click_tokens import TokenCounts, encode, labels
from benchmarks.errors import BenchmarkError

log = logging.getLogger(__name__)

FORMAT = 1
MANIFEST, VOCABULARY, COUNTS = "manifest.json", "vocabulary.arrow", "counts.npy"
IN_SCHEMA = 100_000
"""Tokens up to which a vocabulary is a part of the schema, and so of every trained network's description."""


def stored_fold(clicks: ClickLog, store: Path, *, min_count: int, item: str) -> Fold:
    """The fold of a click log, from its store, which is built first where there is none or a damaged one.

    Splits are memory maps: `ids` int32 [n, fields] and `label` float32 [n]. The unit is the user, or the impression where
    there is no user field: a user whose token is in the vocabulary has its id, any other a negative number of its own.
    Raises BenchmarkError for whatever is wrong with the log, and leaves nothing then.
    """
    if not _is_whole(store):  # a whole one is read without a lock, which a cache of others' may not have room for
        with locked(store, "the click store"):
            if not _is_whole(store):
                _make(clicks, store, min_count)
    return _open(clicks, store, item)


def _make(clicks: ClickLog, store: Path, min_count: int) -> None:
    """The store in one step: a folder beside it takes its place when it is whole."""
    shutil.rmtree(store, ignore_errors=True)
    staging = store.with_suffix(".partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        _build(clicks, staging, min_count, key=store.name)
        staging.rename(store)
    except OSError as error:
        raise BenchmarkError(f"The store of click data {store} cannot be written: {error}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def referenced_vocabulary(schema: Mapping[str, Any]) -> dict[str, pa.Array]:
    """The vocabulary that a schema refers to; raises BenchmarkError where the data cache lacks it."""
    place = cache.root() / schema["vocabulary_at"]
    try:
        return _read_vocabulary(place)
    except (OSError, pa.ArrowException) as error:
        raise BenchmarkError(
            f"The vocabulary of this run's data, {sum(schema['cardinalities']):,} tokens, is not kept with the run but in "
            f"the data cache, and {place / VOCABULARY} cannot be read: {error}. Set BENCH_DATA to the cache that the run was "
            "made with, or make a run on that data set here, which builds it again."
        ) from error


def _build(clicks: ClickLog, folder: Path, min_count: int, key: str) -> None:
    """Two passes over the text: counting the tokens of train, then encoding all parts."""
    clicks.check()
    counts = {name: TokenCounts() for name in clicks.recipe.fields}
    rows = clicked = 0
    with bar("counting the tokens of train") as drawn:
        drawn.total = clicks.size(["train"])
        for _, block, _ in clicks.blocks(["train"], drawn.update):
            for name, counted in counts.items():
                counted.add(*clicks.recipe.tokens(name, block))
            rows += len(block)
            clicked += int(labels(block, clicks.label).sum())
    source = ", ".join(str(table.path) for table in clicks.tables["train"])
    if clicked in (0, rows):
        raise BenchmarkError(
            f"{source}: all {rows:,} rows of train have the label {int(clicked > 0)} in column '{clicks.label}'. Clicks and "
            "others are needed; check which column is the label (data.label)."
        )
    kept = {name: counted.kept(min_count) for name, counted in counts.items()}
    vocabulary = {name: tokens for name, (tokens, _) in kept.items()}
    by_id = [np.concatenate(([rows - of_tokens.sum()], of_tokens)) for _, of_tokens in kept.values()]
    del counts, kept

    written = {part: _Part(folder, part, len(clicks.recipe.fields), bool(clicks.user)) for part in PARTS}
    # The small parts come first: what is wrong with them is known before train is encoded.
    order = PARTS[::-1]
    with contextlib.ExitStack() as opened, bar("encoding train, val and test") as drawn:
        for part in written.values():
            opened.enter_context(part)
        drawn.total = clicks.size(order)
        for name, block, samples in clicks.blocks(order, drawn.update):
            ids = encode(clicks.recipe, vocabulary, block)
            user = _users(clicks, block, ids) if clicks.user else None
            written[name].append(ids, labels(block, clicks.label), samples, user)
    if empty := [name for name, part in written.items() if not part.rows]:
        raise BenchmarkError(f"{source}: the random split leaves no row for {', '.join(empty)}. A log needs more rows.")

    np.save(folder / COUNTS, np.concatenate(by_id).astype(np.int64))
    _write_vocabulary(folder, vocabulary)
    ledger = Ledger(folder)
    names = sorted([*(path.name for path in folder.glob("*.npy")), VOCABULARY])
    manifest = {
        "format": FORMAT,
        "key": key,
        "cardinalities": [len(of_field) for of_field in by_id],
        "unknown": {
            name: [of_field for of_field, known in zip(clicks.recipe.fields, part.known, strict=True) if not known]
            for name, part in written.items()
        },
        "files": {name: ledger.found(name) for name in names},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")


def _users(clicks: ClickLog, block: Any, ids: np.ndarray) -> np.ndarray:
    """The unit of every row, int64 [n]: without this, all users that are rare in train would be one."""
    unit = ids[:, clicks.recipe.fields.index(clicks.user)].astype(np.int64)
    unknown = unit == 0
    if unknown.any():
        tokens, index = clicks.recipe.tokens(clicks.user, block.take(unknown))
        digests = [hashlib.blake2b(token.encode(), digest_size=7).digest() for token in tokens.to_pylist()]
        unit[unknown] = np.array([-1 - int.from_bytes(digest, "big") for digest in digests], np.int64)[index]
    return unit


@dataclass
class _Part:
    """The NumPy files of one part, written row by row: their headers get the number of rows at the end."""

    folder: Path
    name: str
    fields: int
    has_users: bool
    rows: int = 0
    known: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.known = np.zeros(self.fields, bool)
        self._columns: dict[str, tuple[str, tuple[int, ...]]] = {
            "ids": ("<i4", (self.fields,)),
            "label": ("<f4", ()),
            "row": ("<i8", ()),
        }
        if self.has_users:
            self._columns["unit"] = ("<i8", ())

    def __enter__(self) -> _Part:
        self._files = {column: _array_path(self.folder, self.name, column).open("wb") for column in self._columns}
        self._header_sizes = {column: self._write_header(column) for column in self._columns}
        return self

    def append(self, ids: np.ndarray, label: np.ndarray, row: np.ndarray, unit: np.ndarray | None) -> None:
        self.rows += len(ids)
        self.known |= (ids != 0).any(axis=0)
        arrays = {"ids": ids, "label": label, "row": row, "unit": unit}
        for column, (dtype, _) in self._columns.items():
            self._files[column].write(np.ascontiguousarray(arrays[column], dtype).data)

    def __exit__(self, *error: object) -> None:
        for column, file in self._files.items():
            file.seek(0)
            # NumPy leaves room in a header for the first axis to grow.
            assert self._write_header(column) == self._header_sizes[column]
            file.close()

    def _write_header(self, column: str) -> int:
        dtype, shape = self._columns[column]
        file: IO[bytes] = self._files[column]
        described = {"descr": dtype, "fortran_order": False, "shape": (self.rows, *shape)}
        np.lib.format.write_array_header_1_0(file, described)
        return file.tell()


def _open(clicks: ClickLog, store: Path, item: str) -> Fold:
    manifest = json.loads((store / MANIFEST).read_text(encoding="utf-8"))
    for part, names in manifest["unknown"].items():
        if names:
            log.warning("No value of %s in %s is in the vocabulary of train: all take row 0.", ", ".join(names), part)
    fields, cardinalities = clicks.recipe.fields, manifest["cardinalities"]
    splits = {part: _split(store, part, bool(clicks.user)) for part in PARTS}
    counts = np.split(np.load(store / COUNTS), np.cumsum(cardinalities)[:-1])
    schema: dict[str, Any] = {
        "fields": list(fields),
        "cardinalities": cardinalities,
        "user_field": clicks.user or None,
        "item_field": item or None,
        "oov": True,
        "numeric": list(clicks.recipe.numeric),
        "recipe": {"missing": clicks.recipe.missing, "calendar": clicks.recipe.calendar},
        "counts": dict(zip(fields, counts, strict=True)),
        "label": clicks.label,
    }
    if sum(cardinalities) <= IN_SCHEMA:
        schema["vocabulary"] = {name: tokens.to_pylist() for name, tokens in _read_vocabulary(store).items()}
    else:
        below = store.is_relative_to(cache.root())
        schema["vocabulary_at"] = (store.relative_to(cache.root()) if below else store).as_posix()
    return Fold("all", TrainingData(splits["train"], splits["val"], schema), splits["test"])


def _split(store: Path, part: str, has_users: bool) -> Split:
    columns = {name: _memory_map(_array_path(store, part, name)) for name in ("ids", "label")}
    row = _memory_map(_array_path(store, part, "row"))
    return Split(columns, row, _memory_map(_array_path(store, part, "unit")) if has_users else row)


def _array_path(folder: Path, part: str, column: str) -> Path:
    return folder / f"{part}-{column}.npy"


def _memory_map(path: Path) -> np.ndarray:
    # Copy on write: torch wants arrays that may be written to, and the file must stay as it is. As a plain array, since
    # the class memmap costs more than the rows of a batch.
    return np.asarray(np.load(path, mmap_mode="c"))


def _write_vocabulary(folder: Path, vocabulary: Mapping[str, pa.Array]) -> None:
    """One row of lists: Arrow's columns are equally long, vocabularies are not."""
    lists = {
        name: pa.LargeListArray.from_arrays(pa.array([0, len(tokens)], pa.int64()), tokens)
        for name, tokens in vocabulary.items()
    }
    batch = pa.record_batch(lists)
    with pa.OSFile(str(folder / VOCABULARY), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
        writer.write_batch(batch)


def _read_vocabulary(folder: Path) -> dict[str, pa.Array]:
    with pa.memory_map(str(folder / VOCABULARY)) as file:
        batch = pa.ipc.open_file(file).get_batch(0)
    return {name: batch.column(name).flatten() for name in batch.schema.names}


def _is_whole(store: Path) -> bool:
    """Whether the store is there, of this key, and every file as it was written (hashed again where it was touched)."""
    try:
        manifest = json.loads((store / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        ledger = Ledger(store)
        return (manifest["format"], manifest["key"]) == (FORMAT, store.name) and all(
            ledger.found(name) == digest for name, digest in files.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
