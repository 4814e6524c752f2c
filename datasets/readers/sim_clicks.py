"""A click simulator for smoke runs: Zipf items, user and item effects, and interactions of full rank.

No low-rank structure is planted, so that no low-rank method is flattered: the interaction tables are independent normal
draws, whose singular values are all of one order.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.datasets.bundle import Fold
from benchmarks.datasets.readers.click_fields import Vocabulary, click_fold
from benchmarks.errors import BenchmarkError

VERSION = 1
USERS, ITEMS = 200, 2_000
SIZES = {"region": 12, "category": 16, "device": 5, "hour": 24, "position": 6}
PAIRS = (("region", "category"), ("category", "hour"), ("device", "position"))
EFFECT = 0.7
"""Standard deviation of every effect on the logit."""
ROWS_PER_USER = 20
"""The least number of rows a user needs, so that each is in train, val and test."""


def read(files: Mapping[str, Path], *, rows: int = 20_000, seed: int = 2021) -> tuple[Fold, ...]:
    """One fold of about `rows` clicks in seven fields, equally many for each of 200 users, split 8 : 1 : 1 by user.

    Rare items of val and test are absent from train and so become OOV. Equal seeds give equal data.
    """
    if rows < USERS * ROWS_PER_USER:
        raise BenchmarkError(
            f"sim_clicks needs rows of at least {USERS * ROWS_PER_USER}; given: {rows}. Type data.rows=20000."
        )
    columns, label = _simulate(np.random.default_rng(seed), rows // USERS)
    place = np.arange(len(label)) % (rows // USERS) % 10
    where = {"train": np.flatnonzero(place < 8), "val": np.flatnonzero(place == 8), "test": np.flatnonzero(place == 9)}
    tokens = {
        part: {name: column[chosen].astype(str).tolist() for name, column in columns.items()}
        for part, chosen in where.items()
    }
    vocabulary = Vocabulary.fit(tokens["train"], numeric=("hour",))
    parts = {part: (chosen, vocabulary.encode(tokens[part]), label[chosen]) for part, chosen in where.items()}
    return (click_fold(vocabulary, parts, user_field="user_id", item_field="item_id"),)


def interactions(generator: np.random.Generator) -> dict[tuple[str, str], np.ndarray]:
    """What two fields together add to the logit, by pair of fields: tables of full rank."""
    return {(one, other): generator.normal(0, EFFECT, (SIZES[one], SIZES[other])) for one, other in PAIRS}


def _simulate(generator: np.random.Generator, per_user: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of integer tokens, user by user, and clicks drawn from a logistic model of their effects."""
    n = USERS * per_user
    user = np.repeat(np.arange(USERS), per_user)
    popularity = 1 / np.arange(1, ITEMS + 1)
    item = generator.choice(ITEMS, n, p=popularity / popularity.sum())
    columns = {
        "user_id": user,
        "item_id": item,
        "region": generator.integers(SIZES["region"], size=USERS)[user],
        "category": generator.integers(SIZES["category"], size=ITEMS)[item],
        **{name: generator.integers(SIZES[name], size=n) for name in ("device", "hour", "position")},
    }
    logit = -1 + generator.normal(0, EFFECT, USERS)[user] + generator.normal(0, EFFECT, ITEMS)[item]
    for (one, other), table in interactions(generator).items():
        logit += table[columns[one], columns[other]]
    return columns, generator.random(n) < 1 / (1 + np.exp(-logit))
