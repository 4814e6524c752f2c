"""Who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("benchmarks", "datasets", "leaderboard", "models")
LEAVES = ("benchmarks.errors", "benchmarks.later", "benchmarks.metric", "benchmarks.plugins", "benchmarks.yaml_file")
"""Modules that import nothing of ours but each other, and that every package may import."""

MAY_IMPORT = {
    "models": (*LEAVES, "benchmarks.models"),
    "datasets": (*LEAVES, "benchmarks.datasets"),
    "leaderboard": (*LEAVES, "benchmarks.leaderboard"),
}
SHADOWS = ("benchmarks.benchmarks", "benchmarks.tests", "conf", "datasets", "leaderboard", "models")
"""Names under which a checkout could import a module a second time, or hide another package's."""

Import = tuple[str, str]
"""Where something is imported, and its full name."""


def imports(*folders: str) -> list[Import]:
    """All imports of the Python files in folders, those inside functions too."""
    return [found for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) for found in imports_of(path)]


@cache
def imports_of(path: Path) -> tuple[Import, ...]:
    return tuple(_imports_of(path))


def _imports_of(path: Path) -> Iterator[Import]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from ((f"{path.relative_to(ROOT)}:{node.lineno}", name) for name in names)


def within(name: str, *packages: str) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_package_below_the_tasks_imports_itself_and_leaves_alone(folder: str) -> None:
    ours = [found for found in imports(folder) if within(found[1], "benchmarks")]
    assert ours
    assert [found for found in ours if not within(found[1], *MAY_IMPORT[folder])] == []


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_imports_leaves_alone(leaf: str) -> None:
    found = imports_of(ROOT / f"{leaf.replace('.', '/')}.py")
    assert [(where, name) for where, name in found if within(name, "benchmarks") and not within(name, *LEAVES)] == []


def test_everything_is_imported_below_benchmarks_and_benchmarks_is_not_below_itself() -> None:
    assert [found for found in imports(*PACKAGES, "tests") if within(found[1], *SHADOWS)] == []


def test_the_leaderboard_and_the_data_layer_never_import_torch() -> None:
    found = imports("datasets", "leaderboard")
    assert [(where, name) for where, name in found if within(name, "torch", "torchvision", "timm", "lightning")] == []


def test_the_trainer_alone_imports_lightning() -> None:
    users = {
        where.split(":")[0] for where, name in imports(*PACKAGES) if within(name, "lightning", "pytorch_lightning")
    }
    assert users == {"benchmarks/trainer.py"}
