"""What a row is called: its method, with the settings that tell it from its rivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.leaderboard.record import Record

DESCRIPTIVE = frozenset(
    {
        "name", "version", "kind", "requires", "summary", "source", "tasks", "domain", "provides", "primary", "metrics",
        "models", "data", "companions", "seeds", "trainer",
    }
)  # fmt: skip
"""Keys of a task, model or method that describe and set nothing."""

WHERE = frozenset(
    {
        "seed", "store", "if_exists", "companions", "report", "profile", "pictures", "tuned",
        "trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.threads", "trainer.logger", "trainer.progress",
        "trainer.deterministic",
    }
)  # fmt: skip
"""Keys that say where and how visibly a run is made; rows are not told apart by them."""

RANK = "method.rank"


def labels(records: Sequence[Record]) -> list[tuple[str, str]]:
    """For each record its method with the settings that differ among its rows of that model, and all settings."""
    flat = [flatten(record.config) for record in records]
    found = []
    for record, settings in zip(records, flat, strict=True):
        rivals = [
            other
            for rival, other in zip(records, flat, strict=True)
            if (rival.method, rival.model) == (record.method, record.model)
        ]
        names = sorted({name for other in rivals for name in other})
        differing = [name for name in names if any(other.get(name) != settings.get(name) for other in rivals)]
        # The rank is what readers of a table on low-rank methods ask for first.
        if settings.get(RANK) is not None and RANK not in differing:
            differing.insert(0, RANK)
        shown = [f"{name.removeprefix('method.')}={plain(settings.get(name))}" for name in differing]
        own = [f"{name}={plain(value)}" for name, value in settings.items() if name.startswith("method.")]
        found.append((" ".join([record.method, *shown]), ", ".join(own)))
    return found


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The settings of a configuration by dotted name, without the seed, descriptions and what changes no figure."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if prefix + name in WHERE or (prefix in ("method.", "model.", "task.") and name in DESCRIPTIVE):
            continue
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def plain(value: Any) -> str:
    """A setting as it would be typed."""
    if isinstance(value, list):
        return "[" + ",".join(plain(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
