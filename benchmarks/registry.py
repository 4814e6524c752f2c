"""Names of tasks, methods and models: read from YAML headers without importing any code, loaded late.

A built-in name is a file `conf/<group>/<name>.yaml`; its code is found by convention (`benchmarks.<task>.task`,
`benchmarks.methods.<method>`). A third-party name is an entry point in the group `benchmarks.methods` or `benchmarks.tasks`
whose value is a module; its YAML file stands beside that module, under the module's name.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from benchmarks import conf, yaml_file
from benchmarks.errors import BenchmarkError, unknown
from benchmarks.plugins import place, plugins

CONF = Path(conf.__file__).parent
GROUPS = ("task", "method", "model")
HEADER = {
    "task": frozenset(
        {
            "summary",
            "domain",
            "provides",
            "primary",
            "metrics",
            "models",
            "data",
            "companions",
            "seeds",
            "trainer",
            "training",
            "upstream",
            "version",
        }
    ),
    "method": frozenset({"summary", "source", "kind", "requires", "tasks", "version", "smoke"}),
    "model": frozenset({"summary", "source", "tasks", "weights"}),
}
"""Keys of a YAML file that describe; every other key is a setting."""


@dataclass(frozen=True)
class Entry:
    """One registered name: where its YAML is and which module holds its code."""

    group: str
    name: str
    path: Path
    module: str
    attribute: str | None = None
    builtin: bool = True

    @property
    def settings(self) -> dict[str, Any]:
        """The whole YAML file; raises BenchmarkError that names it where it is not a mapping."""
        loaded = _read_yaml(self.path)
        if not isinstance(loaded, dict) or loaded.get("name", self.name) != self.name:
            raise BenchmarkError(f"{self.path} must be a mapping with `name: {self.name}`.")
        return loaded

    def header(self, key: str, default: Any = None) -> Any:
        """One descriptive key of the YAML file."""
        return self.settings.get(key, default)

    def load(self, parent: type) -> type:
        """Imports the module and returns its one public subclass of `parent`."""
        module = importlib.import_module(self.module)
        if self.attribute:
            return getattr(module, self.attribute)
        classes = [
            value
            for key, value in vars(module).items()
            if inspect.isclass(value)
            and issubclass(value, parent)
            and value.__module__ == self.module
            and key[0] != "_"
        ]
        if len(classes) != 1:
            raise BenchmarkError(
                f"{self.module} must hold exactly one public {parent.__name__} class; it holds {len(classes)}."
            )
        return classes[0]


@cache
def entries(group: str) -> dict[str, Entry]:
    """All names of a group, built-in first; a third-party name may not shadow another."""
    found = {
        path.stem: Entry(group, path.stem, path, _module(group, path.stem))
        for path in sorted((CONF / group).glob("*.yaml"))
    }
    for point in plugins(f"benchmarks.{group}s"):
        if point.name in found:
            raise BenchmarkError(
                f"The entry point {group} '{point.name}' ({point.value}) would shadow {found[point.name].module}. Rename it."
            )
        found[point.name] = Entry(group, point.name, _beside(point), point.module, point.attr or None, builtin=False)
    return found


def entry(group: str, name: str) -> Entry:
    """The entry of a name; raises BenchmarkError with the nearest name."""
    known = entries(group)
    if name not in known:
        raise unknown(group, name, known, remedy="`python -m benchmarks list` shows what fits together.")
    return known[name]


def misfit(task: str, method: str, model: str | None = None) -> str | None:
    """Why a method (or a model) cannot be used in a task, in one sentence with what fits; None where it can."""
    provides = set(entry("task", task).header("provides", ()))
    requires = entry("method", method).header("requires", ())
    only = entry("method", method).header("tasks")
    if missing := unmet(requires, provides):
        return (
            f"Method '{method}' needs {', '.join(missing)}, which task '{task}' does not provide. "
            f"Methods for {task}: {', '.join(methods_for(task))}. Tasks for {method}: {', '.join(tasks_for(method)) or 'none'}."
        )
    if only and task not in only:
        return f"Method '{method}' is made for {', '.join(only)}. Methods for {task}: {', '.join(methods_for(task))}."
    if model is not None and task not in entry("model", model).header("tasks", ()):
        return f"Model '{model}' is not a model of task '{task}'. Models for {task}: {', '.join(models_for(task))}."
    return None


def unmet(requires: Iterable[str], provides: set[str]) -> list[str]:
    """What a method needs and a task does not provide, in words; of `linear|conv2d` one is enough."""
    return [need.replace("|", " or ") for need in sorted(requires) if provides.isdisjoint(need.split("|"))]


def methods_for(task: str) -> list[str]:
    """Methods that fit a task."""
    provides = set(entry("task", task).header("provides", ()))
    fits = []
    for name, method in entries("method").items():
        only = method.header("tasks")
        if not unmet(method.header("requires", ()), provides) and (not only or task in only):
            fits.append(name)
    return fits


def tasks_for(method: str) -> list[str]:
    """Tasks that a method fits."""
    return [task for task in entries("task") if method in methods_for(task)]


def models_for(task: str) -> list[str]:
    """Models of a task."""
    return [name for name, model in entries("model").items() if task in model.header("tasks", ())]


def _module(group: str, name: str) -> str:
    return {
        "task": f"benchmarks.{name}.task",
        "method": f"benchmarks.methods.{name}",
        "model": f"benchmarks.models.{name}",
    }[group]


def _beside(point: EntryPoint) -> Path:
    """The YAML file beside an entry point's module."""
    path = place(point).with_suffix(".yaml")
    if not path.is_file():
        raise BenchmarkError(
            f"The entry point '{point.name}' ({point.value}) has no YAML file beside its module: write {path}."
        )
    return path


@cache
def _read_yaml(path: Path) -> Any:
    return yaml_file.read(path)
