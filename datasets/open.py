"""From the id of a data set to its folds: card, options, files, reader, fingerprint."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from typing import Any

from benchmarks.datasets.bundle import DataBundle
from benchmarks.datasets.cache import fetch, folder
from benchmarks.datasets.card import load_card
from benchmarks.datasets.fingerprint import unverified

BUILT = ".built"
"""Where a data set's folder holds what readers build of its files, one folder a fingerprint."""


def open_bundle(card_id: str, options: Mapping[str, Any] | None = None, *, progress: bool = True) -> DataBundle:
    """The data set of that id under the given reader options, fetched where it is not cached.

    A reader with a second parameter `store` gets the path of a folder, new for every fingerprint, in which it may keep what
    it builds of the files. `notes` of the bundle repeat the card's and say whether the data are simulated, a mere sample, or
    not verified. Raises BenchmarkError for an unknown id or option, or for files that cannot be had; options are checked
    before any fetch.
    """
    card = load_card(card_id)
    resolved = card.resolve(options or {})
    reader = importlib.import_module(card.reader_module)
    files = fetch(card, progress=progress)
    unchecked = unverified(card)
    fingerprint = card.fingerprint(resolved, unchecked)
    place = (folder(card) / BUILT / fingerprint,) if "store" in inspect.signature(reader.read).parameters else ()
    folds = reader.read(files, *place, **resolved)
    notes = list(card.notes)
    if card.simulated:
        notes.append("Simulated data: for smoke runs, never in a ranked table.")
    if card.sample:
        notes.append("A sample, too small to rank methods with.")
    notes += [
        f"{path} (sha256 {found}) was taken as it was found: no publisher's checksum is known to verify it with."
        for path, found in unchecked.items()
    ]
    return DataBundle(card.id, fingerprint, tuple(folds), tuple(notes))
