"""The table in FAULTS.md is what the drill finds today; the drill itself fails where a run is lost, doubled or damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "FAULTS.md").read_text(encoding="utf-8")
MOUNTED = ("| the disk is full", "| the data cache is read-only")
"""Rows of faults that need the right to mount a file system."""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the drill forks its runs")
def test_the_drill_writes_the_table_of_the_documentation(tmp_path: Path) -> None:
    written = tmp_path / "FAULTS.md"
    command = [sys.executable, str(ROOT / "tests/faults/drill.py"), "--write", str(written)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    found, expected = (text.splitlines() for text in (written.read_text(encoding="utf-8"), DOCUMENT))
    if "not drilled" in done.stderr:
        expected = [line for line in expected if not line.startswith(MOUNTED)]
    assert found == expected


def test_the_table_has_a_row_for_every_fault() -> None:
    for fault in ("kill -9 in phase", "checkpoint flipped", "SIGTERM", "twice at once", "clock", *MOUNTED):
        assert fault.removeprefix("| ") in DOCUMENT
