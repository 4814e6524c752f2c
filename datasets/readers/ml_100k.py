"""MovieLens 100K as clicks: a rating of 4 or 5 is a click, ten categorical fields, two protocols."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.click_fields import Vocabulary, click_fold
from benchmarks.errors import unknown

VERSION = 1
NUMERIC = ("age", "hour", "weekday")
PERMUTATION_SEED = 2021
DAY = 86_400


def read(files: Mapping[str, Path], *, protocol: str = "time") -> tuple[Fold, ...]:
    """One fold of 100,000 ratings by 943 users; rows of a split keep the file's order, and sample ids are its rows.

    Protocol `time`: of every user's ratings by (time stamp, row) the last tenth is test, the tenth before it val.
    Others' later ratings are in train: it is no global split by time. Protocol `random`: a fixed permutation,
    80 : 10 : 10. Ids are fitted on train; 0 stands for a token that train lacks.
    """
    if protocol not in PROTOCOLS:
        raise unknown("protocol", protocol, PROTOCOLS)
    ratings = _table(files["ml-100k.inter"])
    columns = _fields(ratings, _table(files["ml-100k.item"]), _table(files["ml-100k.user"]))
    label = np.array([float(rating) >= 4 for rating in ratings["rating"]])
    rows = PROTOCOLS[protocol](ratings)
    tokens = {part: {name: column[where].tolist() for name, column in columns.items()} for part, where in rows.items()}
    vocabulary = Vocabulary.fit(tokens["train"], numeric=NUMERIC)
    parts = {part: (where, vocabulary.encode(tokens[part]), label[where]) for part, where in rows.items()}
    return (click_fold(vocabulary, parts, user_field="user_id", item_field="item_id"),)


def _by_time(ratings: dict[str, list[str]]) -> dict[str, np.ndarray]:
    user, position = np.unique(ratings["user_id"], return_inverse=True)
    time = np.array(ratings["timestamp"], np.float64)
    # lexsort is stable, so that ratings entered in one second keep the order of the file.
    order = np.lexsort((time, position))
    n = np.bincount(position, minlength=len(user))
    held_out = np.maximum(1, n // 10)
    from_end = np.empty(len(order), np.int64)
    from_end[order] = np.cumsum(n)[position[order]] - 1 - np.arange(len(order))
    part = np.minimum(from_end // held_out[position], 2)
    return {"train": np.flatnonzero(part == 2), "val": np.flatnonzero(part == 1), "test": np.flatnonzero(part == 0)}


def _at_random(ratings: dict[str, list[str]]) -> dict[str, np.ndarray]:
    n = len(ratings["user_id"])
    order = np.random.RandomState(PERMUTATION_SEED).permutation(n)
    train, val, test = np.split(order, [8 * n // 10, 9 * n // 10])
    return {"train": np.sort(train), "val": np.sort(val), "test": np.sort(test)}


PROTOCOLS = {"time": _by_time, "random": _at_random}


def _fields(
    ratings: dict[str, list[str]], items: dict[str, list[str]], users: dict[str, list[str]]
) -> dict[str, np.ndarray]:
    """The ten fields as columns of tokens; of several genres the first counts, of a zip code its first character."""
    user = _rows_of(ratings["user_id"], users["user_id"])
    item = _rows_of(ratings["item_id"], items["item_id"])
    second = np.array(ratings["timestamp"], np.float64).astype(np.int64)
    return {
        "user_id": np.array(ratings["user_id"]),
        "item_id": np.array(ratings["item_id"]),
        "age": np.array(users["age"])[user],
        "gender": np.array(users["gender"])[user],
        "occupation": np.array(users["occupation"])[user],
        "zip1": np.array([code[:1] for code in users["zip_code"]])[user],
        "release_year": np.array(items["release_year"])[item],
        "genre1": np.array([genres.partition(" ")[0] for genres in items["class"]])[item],
        "hour": (second % DAY // 3600).astype(str),
        # The epoch began on a Thursday; Monday is 0.
        "weekday": ((second // DAY + 3) % 7).astype(str),
    }


def _rows_of(keys: list[str], table: list[str]) -> np.ndarray:
    row = {key: number for number, key in enumerate(table)}
    return np.array([row[key] for key in keys])


def _table(path: Path) -> dict[str, list[str]]:
    """Columns of a tab-separated file by name; the header carries a type after each name."""
    header, *lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    names = [entry.partition(":")[0] for entry in header.split("\t")]
    return {
        name: list(column)
        for name, column in zip(names, zip(*(line.split("\t") for line in lines), strict=True), strict=True)
    }
