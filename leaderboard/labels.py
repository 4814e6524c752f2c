"""What a row is called: its method, with the settings that tell it from its rivals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.later import LATER
from benchmarks.leaderboard.record import Record

DESCRIPTIVE = frozenset(
    {
        "name", "version", "kind", "requires", "summary", "source", "tasks", "domain", "provides", "primary", "metrics",
        "models", "data", "companions", "seeds", "trainer", "training",
    }
)  # fmt: skip
"""Keys of a task, model or method that describe and set nothing."""

WHERE = frozenset(
    {
        "seed", "store", "if_exists", "companions", "report", "profile", "pictures", "tuned",
        "trainer.accelerator", "trainer.devices", "trainer.strategy", "trainer.threads", "trainer.workers",
        "trainer.logger", "trainer.progress", "trainer.deterministic",
    }
)  # fmt: skip
"""Keys that say where and how visibly a run is made; rows are not told apart by them."""

RANK = "method.rank"
BUDGET = "method.budget"
WEIGHTS = "weights"
OTHER_SIZES = frozenset(
    {
        RANK,
        "method.table_rank",
        "method.energy",
        "method.match_rank",
        "method.keep",
        "method.share",
        "method.temperature",
        "method.parts",
    }
)
"""Settings that decide how small a network gets. A budget decides in their place: what they say beside it is not read."""


def labels(records: Sequence[Record], hidden: frozenset[str] = frozenset()) -> list[tuple[str, str]]:
    """For each record its method with the settings that differ among its rows of that model, and all settings.

    Where rows of a model start from several weights, each also says from which. Settings named in `hidden` stay out of the
    first. A row with a budget is named by it and not by a rank, and is told from other rows with a budget by a rank only where
    theirs differ.
    """
    flat = [settings_read(record.config) for record in records]
    rivals: dict[tuple[str, str | None], list[dict[str, Any]]] = defaultdict(list)
    for record, settings in zip(records, flat, strict=True):
        rivals[record.method, record.model].append(settings)
    for group in rivals.values():
        _fill_in(group)
    differing = {group: _differing(settings) for group, settings in rivals.items()}
    started: dict[str | None, set[str]] = defaultdict(set)
    for record, settings in zip(records, flat, strict=True):
        if settings.get(WEIGHTS) is not None:
            started[record.model].add(settings[WEIGHTS])
    found = []
    for record, settings in zip(records, flat, strict=True):
        names, names_of_budgets, names_of_others = differing[record.method, record.model]
        has_budget = settings.get(BUDGET) is not None
        sizes = names_of_budgets if has_budget else names_of_others
        own = [name for name in names if name != BUDGET and (name not in OTHER_SIZES or name in sizes)]
        if len(started[record.model]) > 1 and settings.get(WEIGHTS) is not None and WEIGHTS not in own:
            own.append(WEIGHTS)
        # The budget or the rank is what readers of a table on low-rank methods ask for first.
        if has_budget:
            own.insert(0, BUDGET)
        elif settings.get(RANK) is not None and RANK not in own:
            own.insert(0, RANK)
        told = [name for name in own if name not in hidden and (name in settings or _is_own(name))]
        shown = [f"{name.removeprefix('method.')}={plain(settings.get(name))}" for name in told]
        every = [f"{name}={plain(value)}" for name, value in settings.items() if name.startswith("method.")]
        found.append((" ".join([record.method, *shown]), ", ".join(every)))
    return found


def _fill_in(rivals: Sequence[dict[str, Any]]) -> None:
    """Gives older rows the settings of their method or model that came later, at the value that they were made with."""
    later = {name for settings in rivals for name in settings if name in LATER and _is_own(name)}
    for settings in rivals:
        for name in later - settings.keys():
            settings[name] = LATER[name]


def _differing(rivals: Sequence[Mapping[str, Any]]) -> tuple[list[str], frozenset[str], frozenset[str]]:
    """Names of settings, sorted, that differ among all rivals; and among those with a budget, and without one.

    A shared setting tells no rows apart that were made before it was there; one of the task, by which they stand for the value
    that they were made with, tells others from them.
    """
    with_budget = [settings for settings in rivals if settings.get(BUDGET) is not None]
    without = [settings for settings in rivals if settings.get(BUDGET) is None]
    names = sorted({name for settings in rivals for name in settings})

    def values(among: Sequence[Mapping[str, Any]], name: str) -> Iterable[Any]:
        before = LATER[name] if name in LATER and name.startswith("task.") else None
        everywhere = before is not None or _is_own(name)
        return (each.get(name, before) for each in among if name in each or everywhere)

    def differ(among: Sequence[Mapping[str, Any]]) -> list[str]:
        return [name for name in names if _has_two(values(among, name))]

    return differ(rivals), frozenset(differ(with_budget)), frozenset(differ(without))


def _is_own(name: str) -> bool:
    """Whether it is a setting of the method or model, which those of that name have unless it is off."""
    return name.startswith(("method.", "model."))


def _has_two(values: Iterable[Any]) -> bool:
    """Whether not all are equal."""
    given = list(values)
    return any(value != given[0] for value in given[1:])


def settings_read(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a run of this kind of method reads: only what compresses or adapts is fine-tuned, and a network whose
    weights are loaded, and nothing more, is not trained."""
    method = config.get("method", {})
    groups: tuple[str, ...] = () if method.get("kind") in (None, "compress", "adapt") else ("finetune.",)
    of_training: set[str] = set()
    if method.get("name") == "none" and config.get(WEIGHTS) is not None:
        groups += ("trainer.",)
        of_training = {f"task.{name}" for name in config.get("task", {}).get("training", ())}
    read = {name: value for name, value in flatten(config).items() if not name.startswith(groups)}
    return {name: value for name, value in read.items() if name not in of_training}


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
    """A setting as it would be typed; whole numbers (a budget in bytes) keep all their digits."""
    if isinstance(value, list):
        return "[" + ",".join(plain(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:g}"
    return str(value)
