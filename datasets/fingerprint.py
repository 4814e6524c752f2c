"""Which data exactly: the fingerprint of a card, with the checksums of files that it takes as they are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.datasets.cache import fetch, folder
from benchmarks.datasets.card import DatasetCard
from benchmarks.datasets.checksums import Ledger


def fingerprint(card: DatasetCard, options: Mapping[str, Any] | None = None) -> str:
    """The fingerprint of a data set under reader options.

    No file is opened where the card names all checksums. Otherwise unverified files are brought into the cache and hashed,
    once: the ledger remembers. Raises BenchmarkError where they cannot be had.
    """
    return card.fingerprint(options, unverified(card))


def unverified(card: DatasetCard) -> dict[str, str]:
    """The sha256 of each required file of which the card names no checksum, by path."""
    paths = [file.path for file in card.unverified]
    if not paths:
        return {}
    fetch(card, files=paths)
    ledger = Ledger(folder(card))
    return {path: str(ledger.found(path)) for path in paths}
