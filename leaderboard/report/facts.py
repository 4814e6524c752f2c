"""What a report knows besides records, handed in by the command: the leaderboard imports neither tasks nor data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class TaskFacts:
    """A task's own words: what it is, how many seeds a row should have, which methods fit it (for the coverage), and by
    kind of method the method whose row a result is compared with."""

    name: str
    summary: str = ""
    domain: str = ""
    seeds: int = 1
    methods: tuple[str, ...] = ()
    bases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Facts:
    """Tasks by name, and the cards of data sets by id as plain mappings."""

    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def task(self, name: str) -> TaskFacts:
        """The facts of a task; of one that is no longer installed, its name alone."""
        return self.tasks.get(name, TaskFacts(name))

    def card(self, dataset: str) -> Mapping[str, Any]:
        """The card of a data set, empty where it is not known here."""
        return self.cards.get(dataset, {})
