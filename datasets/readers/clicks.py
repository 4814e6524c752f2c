"""Click logs as delimited text, of any size and layout: options say what each column is, so that a card suffices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.click_log import log_of
from benchmarks.datasets.readers.click_store import stored_fold
from benchmarks.datasets.readers.click_text import TextTable
from benchmarks.datasets.readers.click_tokens import CALENDAR, Recipe
from benchmarks.errors import BenchmarkError, unknown

VERSION = 1


def read(
    files: Mapping[str, Path],
    store: Path,
    *,
    train: str = "train.csv",
    val: str = "valid.csv",
    test: str = "test.csv",
    seed: int = 2018,
    label: str = "label",
    fields: str = "",
    numeric: str = "",
    calendar: str = "",
    user: str = "",
    item: str = "",
    min_count: int = 1,
    missing: str = "",
    separator: str = ",",
    columns: str = "",
) -> tuple[Fold, ...]:
    """One fold of clicks: ids are numbered by what occurs in train at least `min_count` times, 0 stands for all others.

    Options that are lists have commas between. `train`, `val` and `test` name files (several are read one after another);
    without val and test the rows of train are split at random, 8 : 1 : 1 by `seed`. `fields` are the columns to use, all
    but the label unless given; `columns` names those of files without a header line. `numeric`, `missing` and `calendar`
    are those of `Recipe`. The files are encoded once, into `store`. Raises BenchmarkError for whatever is wrong in them.
    """
    if min_count < 1:
        raise BenchmarkError(f"min_count is {min_count}; it must be at least 1. Type data.min_count=1.")
    if len(separator) != 1:
        raise BenchmarkError(f"separator is '{separator}'; it must be one character.")
    names = tuple(_listed(columns))
    tables = {
        part: [TextTable(_file(name, files), separator, names) for name in _listed(given)]
        for part, given in (("train", train), ("val", val), ("test", test))
    }
    header = [name for table in tables["train"][:1] for name in table.header()]
    chosen = _listed(fields) or [name for name in header if name != label]
    if calendar and calendar not in chosen:
        raise unknown("field for calendar:", calendar, chosen)
    chosen += CALENDAR if calendar else ()
    if twice := [name for name in chosen if [label, *chosen].count(name) > 1]:
        raise BenchmarkError(f"'{twice[0]}' is a field twice, or the label too. Leave it out of data.fields.")
    recipe = Recipe(tuple(chosen), tuple(_listed(numeric)), missing, calendar)
    clicks = log_of(tables, label, recipe, user=user, item=item, seed=seed)
    return (stored_fold(clicks, store, min_count=min_count, item=item),)


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _file(name: str, files: Mapping[str, Path]) -> Path:
    if name not in files:
        raise unknown("file of the data set:", name, files)
    return files[name]
