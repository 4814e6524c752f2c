"""No key in `conf` that nobody reads: whoever types or copies it would believe that it does something."""

from __future__ import annotations

import importlib
import inspect
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from benchmarks import registry
from benchmarks.method import Method
from benchmarks.settings import Finetune, Settings, Trainer

OVERLAYS = [
    path for group in ("trainer", "scale", "tuned", "experiment") for path in (registry.CONF / group).glob("*.yaml")
]
READ_BY_THE_LOSS = {"regularizer"}


def settings_of(group: str, name: str) -> set[str]:
    """The keys of a file that are settings and not a description."""
    return registry.entry(group, name).settings.keys() - registry.HEADER[group] - {"name"}


@pytest.mark.parametrize("name", registry.entries("method"))
def test_the_keys_of_a_method_are_the_fields_of_its_class(name: str) -> None:
    kind = registry.entry("method", name).load(Method)
    assert settings_of("method", name) == {field.name for field in fields(kind)}
    assert registry.entry("method", name).header("smoke", {}).keys() <= settings_of("method", name)


@pytest.mark.parametrize("name", registry.entries("model"))
def test_the_keys_of_a_model_are_arguments_of_its_network(name: str) -> None:
    for task in registry.entry("model", name).header("tasks"):
        network = importlib.import_module(f"benchmarks.models.{task}.build").NETWORKS[name]
        assert settings_of("model", name) - READ_BY_THE_LOSS <= inspect.signature(network).parameters.keys()


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_keys_of_an_overlay_are_shared_settings(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content.keys() - {"defaults"} <= {field.name for field in fields(Settings)}
    for section, kind in {"trainer": Trainer, "finetune": Finetune}.items():
        assert content.get(section, {}).keys() <= {field.name for field in fields(kind)}
