"""Low-rank methods in real applications: seven tasks, one command, one record a run, one leaderboard."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path

__version__ = "0.1.0"


def _graft() -> None:
    """In a checkout, makes `benchmarks.models`, `.datasets`, `.conf`, `.leaderboard` of the top-level folders.

    A wheel or an installed package needs none of this: there the folders are real sub-packages. In a checkout the root may
    stand on `sys.path`, where the folder `datasets` would answer for Hugging Face's package of that name (even
    `find_spec("datasets")` would then lie to transformers). So the root moves behind a real `datasets`; where there is
    none, the name is marked absent.
    """
    root = Path(__file__).resolve().parent.parent
    if not (root / "pyproject.toml").is_file() or not (root / "leaderboard" / "record.py").is_file():
        return
    __path__.append(str(root))

    def is_root(entry: str) -> bool:
        return Path(entry or ".").resolve() == root

    entries = [entry for entry in sys.path if is_root(entry)]
    if not entries or "datasets" in sys.modules:
        return
    others = [entry for entry in sys.path if not is_root(entry)]
    if importlib.machinery.PathFinder.find_spec("datasets", others):
        sys.path[:] = [*others, *entries]
    else:
        sys.modules["datasets"] = None  # type: ignore[assignment]


_graft()
