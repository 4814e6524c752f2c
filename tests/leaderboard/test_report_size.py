"""The report stays small and quick: pages that open at once, a build that needs neither torch nor much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = """
import json, re, resource, sys, time
from pathlib import Path
began = time.perf_counter()
from benchmarks.commands.report import main
assert main(["--store", sys.argv[1], "--out", sys.argv[2], "--no-published"]) == 0
seconds = time.perf_counter() - began
used = resource.getrusage(resource.RUSAGE_SELF)
# Linux hands the mark of the process that started this one on to ru_maxrss; its own stands beside it.
status = Path("/proc/self/status")
own = re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text()) if status.is_file() else None
memory = 1024 * int(own[1]) if own else used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": seconds, "cpu": used.ru_utime + used.ru_stime, "memory": memory, "modules": list(sys.modules)}))
"""


def built(store: Path, out: Path) -> dict:
    """Builds a report in a process of its own and says what it took."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, store, out], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def test_five_hundred_records_give_small_pages_quickly_without_torch(generated, tmp_path):
    generated(tmp_path / "results", 500)
    took = built(tmp_path / "results", tmp_path / "report")
    assert not {"torch", "hydra", "lightning", "pandas"} & set(took["modules"])
    assert took["cpu"] < 5  # of the processor: other processes on a busy machine do not count
    assert (tmp_path / "report" / "index.html").stat().st_size <= 300_000
    pages = [path.stat().st_size for path in (tmp_path / "report" / "runs").glob("*.html")]
    assert len(pages) == 500
    assert max(pages) <= 600_000


@pytest.mark.slow
def test_five_thousand_records_take_half_a_minute_and_half_a_gigabyte_at_most(generated, tmp_path):
    generated(tmp_path / "results", 5000)
    took = built(tmp_path / "results", tmp_path / "report")
    assert took["cpu"] < 30
    assert took["memory"] < 500e6
    assert (tmp_path / "report" / "index.html").stat().st_size <= 300_000
    assert len(list((tmp_path / "report" / "runs").glob("*.html"))) == 5000
