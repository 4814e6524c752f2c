"""YAML files of the suite: cards, registry entries, reported figures. They hold plain data, and nothing in them is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: some files take seconds otherwise, together."""


def read(path: Path) -> Any:
    """What a file says; raises yaml.YAMLError where it is no YAML, ValueError where no UTF-8 or a date that is none."""
    return yaml.load(path.read_text(encoding="utf-8"), Loader=LOADER)
