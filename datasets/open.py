"""From the id of a data set to its folds: card, options, files, reader, fingerprint."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from benchmarks.datasets.bundle import DataBundle
from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card


def open_bundle(card_id: str, options: Mapping[str, Any] | None = None, *, progress: bool = True) -> DataBundle:
    """The data set of that id under the given reader options, fetched where it is not cached.

    `notes` of the bundle repeat the card's and say whether the data are simulated or a mere sample. Raises
    BenchmarkError for an unknown id or option, or for files that cannot be had; options are checked before any fetch.
    """
    card = load_card(card_id)
    resolved = card.resolve(options or {})
    reader = importlib.import_module(card.reader_module)
    folds = reader.read(fetch(card, progress=progress), **resolved)
    notes = list(card.notes)
    if card.simulated:
        notes.append("Simulated data: for smoke runs, never in a ranked table.")
    if card.sample:
        notes.append("A sample, too small to rank methods with.")
    return DataBundle(card.id, card.fingerprint(resolved), tuple(folds), tuple(notes))
