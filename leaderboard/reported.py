"""Figures that others report: rows of their own, each with its source, never part of a statistic."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.errors import BenchmarkError

FOLDER = Path(__file__).parent / "reported"


class Source(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a figure stands."""

    title: str
    table: str
    page: str | None = None
    url: str


class Reported(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One figure. `how` says whether the source was read for it; `reason` why it is not comparable with ours.

    `dataset` is what the source used; `shown_with` lists our data sets beside which the figure is shown all the same.
    `condition` is the one that the figure is for (a scene), None where it is for all of them.
    """

    task: str
    dataset: str
    shown_with: list[str] = []
    method: str
    model: str | None = None
    condition: str | None = None
    metric: str
    value: float
    unit: str = ""
    spread: float | None = None
    seeds: int | None = None
    params: int | None = None
    source: Source
    how: Literal["read", "recalled"]
    comparable: bool
    reason: str | None = None

    def __post_init__(self) -> None:
        if not self.comparable and not self.reason:
            raise ValueError(f"{self.model or self.method} on {self.dataset} is not comparable and gives no reason")


def reported_rows(task: str | None = None, dataset: str | None = None, folder: Path = FOLDER) -> list[Reported]:
    """The figures of all files of `folder`, or those of a task, or those to be shown with a data set; in file order.

    A file holds `source`, `defaults` for all its figures, and `figures`: groups of fields with `rows`, each row with a
    `values` mapping from metric to value and, where there are such, `conditions` with `values` of their own by name. A
    group or a row may say more of its `source`. Raises BenchmarkError that names a file which is not so.
    """
    rows = [row for path in sorted(folder.glob("*.yaml")) for row in _read(path)]
    return [
        row
        for row in rows
        if task in (None, row.task) and (dataset is None or dataset == row.dataset or dataset in row.shown_with)
    ]


def _read(path: Path) -> list[Reported]:
    import yaml

    from benchmarks import yaml_file

    try:
        content = yaml_file.read(path)
        return [figure for group in content["figures"] for figure in _figures(content, group)]
    except (yaml.YAMLError, msgspec.ValidationError, ValueError, KeyError, TypeError) as error:
        raise BenchmarkError(f"The reported figures in {path} cannot be used: {error}.") from error


def _figures(content: dict[str, Any], group: dict[str, Any]) -> list[Reported]:
    shared = content.get("defaults", {}) | {key: value for key, value in group.items() if key != "rows"}
    shared["source"] = content["source"] | shared.pop("source", {})
    figures = []
    for row in group["rows"]:
        fields = shared | {key: value for key, value in row.items() if key not in ("values", "conditions")}
        fields["source"] = shared["source"] | row.get("source", {})
        for condition, values in {None: row["values"], **row.get("conditions", {})}.items():
            named = fields | {"condition": condition}
            figures += [msgspec.convert(named | {"metric": m, "value": v}, Reported) for m, v in values.items()]
    return figures
