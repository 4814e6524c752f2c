"""Which methods fit which tasks here: what a check of every pair goes through."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks import registry

PACKAGES = {"svd_bm3d": "bm3d", "bm4d": "bm4d"}
"""What a method needs of an extra: without it there is nothing to check."""
PAIRS = [
    (task, method)
    for task in registry.entries("task")
    for method in registry.methods_for(task)
    if method not in PACKAGES or find_spec(PACKAGES[method])
]
