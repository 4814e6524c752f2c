"""`list`: which tasks, methods, models and data sets fit together; reads YAML headers only."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from benchmarks import registry
from benchmarks.datasets.catalogue import cards, read_card


def main(argv: Sequence[str]) -> int:
    """Prints the catalogue, as text or with `--json` as data."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks list", description=__doc__)
    parser.add_argument("--json", action="store_true", help="as data")
    options = parser.parse_args(argv)
    catalogue = describe()
    if options.json:
        print(json.dumps(catalogue, indent=1))
        return 0
    for task in catalogue["tasks"]:
        print(f"task={task['name']:<18}{task['summary']}  [{task['domain']}, by {task['primary']}]")
        for group in ("methods", "models", "datasets"):
            print(f"  {group}")
            for entry in task[group]:
                print(f"    {entry['name']:<20}{entry['summary']}")
    return 0


def describe() -> dict[str, Any]:
    """The catalogue: for every task what fits it, one line each."""
    described = [read_card(card_id) for card_id in cards()]
    tasks = []
    for name, task in registry.entries("task").items():
        header = {key: task.header(key) for key in ("summary", "domain", "primary", "provides")}
        methods = [_line("method", method) for method in registry.methods_for(name)]
        models = [_line("model", model) for model in registry.models_for(name)]
        datasets = [{"name": card["id"], "summary": card["summary"]} for card in described if name in card["task"]]
        tasks.append({"name": name, **header, "methods": methods, "models": models, "datasets": datasets})
    return {"tasks": tasks}


def _line(group: str, name: str) -> dict[str, str]:
    entry = registry.entry(group, name)
    kind = {"kind": entry.header("kind")} if group == "method" else {}
    return {"name": name, **kind, "summary": entry.header("summary")}
