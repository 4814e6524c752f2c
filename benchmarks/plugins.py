"""What other packages add: their entry points, found in one scan and located without importing them."""

from __future__ import annotations

import importlib.util
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from pathlib import Path

from benchmarks.errors import BenchmarkError

_installed = cache(entry_points)
"""One scan for all groups: each would read the metadata of every installed package anew."""


def plugins(group: str) -> EntryPoints:
    """The entry points of a group."""
    return _installed().select(group=group)


def place(plugin: EntryPoint) -> Path:
    """Where the module or package of an entry point lies, without a suffix; only the top package is looked up."""
    top, *rest = plugin.module.split(".")
    spec = importlib.util.find_spec(top)
    if spec is not None and spec.submodule_search_locations:
        return Path(spec.submodule_search_locations[0]).joinpath(*rest)
    if spec is not None and spec.origin is not None and not rest:
        return Path(spec.origin).with_suffix("")
    raise BenchmarkError(f"The entry point '{plugin.name}' names the module '{plugin.module}', which cannot be found.")
