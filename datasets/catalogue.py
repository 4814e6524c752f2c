"""Which data sets there are, and what their cards say: plain YAML, read without checking a whole card."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks import yaml_file
from benchmarks.errors import BenchmarkError, unknown
from benchmarks.plugins import place, plugins

CARDS = Path(__file__).parent / "cards"
ENTRY_POINTS = "benchmarks.datasets"


@cache
def cards() -> dict[str, Path]:
    """Path of the card of every data set by id, built-in and third-party; opens no file.

    Third-party cards are YAML files in the folder of a package that an entry point of the group `benchmarks.datasets`
    names; the package is found without importing it.
    """
    found = {path.stem: path for path in sorted(CARDS.glob("*.yaml"))}
    for plugin in plugins(ENTRY_POINTS):
        for path in sorted(place(plugin).glob("*.yaml")):
            if found.setdefault(path.stem, path) != path:
                raise BenchmarkError(f"Two cards have the id '{path.stem}': {found[path.stem]} and {path}. Rename one.")
    return found


@cache
def read_card(card_id: str) -> dict[str, Any]:
    """The card as it is written; raises BenchmarkError for an unknown id (with the nearest) or a file of another id."""
    known = cards()
    if card_id not in known:
        raise unknown("data set", card_id, known, remedy="`python -m benchmarks data list` describes them.")
    path = known[card_id]
    try:
        card = yaml_file.read(path)
    except (yaml.YAMLError, ValueError) as error:  # no UTF-8, or a date that is none, as 2026-99-99
        raise BenchmarkError(f"The card {path} cannot be used: {error}.") from error
    if not isinstance(card, dict) or card.get("id") != card_id:
        raise BenchmarkError(f"The card {path} must be a mapping with `id: {card_id}`: id and file name must agree.")
    return card
