"""The package stays cheap to import."""

from __future__ import annotations

import subprocess
import sys


def test_statistics_import_neither_scipy_nor_torch():
    modules = (
        "bootstrap", "change", "effect", "equal_size", "hierarchical", "paired", "pareto", "ranks", "roc", "size_curve",
        "two_noises",
    )  # fmt: skip
    imports = ", ".join(f"benchmarks.leaderboard.statistics.{module}" for module in modules)
    program = f"import sys; import {imports}; print({{'scipy', 'torch', 'sklearn'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
