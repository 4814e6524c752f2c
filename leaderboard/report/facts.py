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
    """Tasks by name; cards of data sets, methods and models by name, as the plain mappings of their YAML files; and the
    suite's version."""

    tasks: Mapping[str, TaskFacts] = field(default_factory=dict)
    cards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    methods: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    version: str = ""

    def task(self, name: str) -> TaskFacts:
        """The facts of a task; of one that is no longer installed, its name alone."""
        return self.tasks.get(name, TaskFacts(name))

    def card(self, dataset: str) -> Mapping[str, Any]:
        """The card of a data set, empty where it is not known here."""
        return self.cards.get(dataset, {})
