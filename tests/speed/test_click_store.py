"""Speed and memory of the click store: `uv run pytest tests/speed/test_click_store.py --benchmark-only -p no:cacheprovider`.

Five million rows in the format of Criteo are made (1.2 GB of text), encoded in a process of its own whose memory is
measured, and read back as shuffled batches. It takes some minutes and 4 GB of disk. Figures are in `extra_info`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from benchmarks.datasets.readers import clicks

ROWS = {"train": 4_000_000, "valid": 500_000, "test": 500_000}
NUMBERS = [f"I{number}" for number in range(1, 14)]
CARDINALITIES = [
    *(1460, 580, 10_100_000, 2_200_000, 305, 24, 12_500, 630, 3, 93_000, 5_700, 8_350_000, 3_200),
    *(27, 15_000, 5_460_000, 10, 5_600, 2_170, 4, 7_040_000, 18, 15, 286_000, 105, 142_000),
]
"""Different values of the categories C1 to C26, about as Criteo has them."""
MEMORY, SPEED, BATCH = 2 * 2**30, 1_000_000, 4096

BUILD = """
import json, sys, time
from pathlib import Path
from benchmarks.datasets.readers import clicks
folder = Path(sys.argv[1])
started = time.perf_counter()
(fold,) = clicks.read({path.name: path for path in folder.glob("*.csv")}, folder / "store", **json.loads(sys.argv[2]))
seconds = time.perf_counter() - started
from benchmarks.memory_probe import high_water_mark  # only now: it brings torch
print(json.dumps({"seconds": seconds, "bytes": high_water_mark(), "tokens": sum(fold.training.schema["cardinalities"])}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files in the layout of BARS: label first, then 13 numbers and 26 categories with a tail like Zipf's."""
    folder = tmp_path_factory.mktemp("clicks")
    random = np.random.default_rng(2021)
    for name, rows in ROWS.items():
        with pa.csv.CSVWriter(
            folder / f"{name}.csv",
            next(tables(random, 1, 1)).schema,
            write_options=pa.csv.WriteOptions(quoting_style="none"),
        ) as writer:
            for table in tables(random, rows, 250_000):
                writer.write_table(table)
    return folder


def tables(random: np.random.Generator, rows: int, size: int) -> Iterator[pa.Table]:
    """Made-up rows, some at a time."""
    for start in range(0, rows, size):
        n = min(size, rows - start)
        columns: dict[str, pa.Array] = {"Label": pa.array((random.random(n) < 0.256).astype(np.int8))}
        for scale, name in enumerate(NUMBERS, start=1):
            number = random.exponential(3.0**scale, n).astype(np.int64) - 1
            columns[name] = pa.array(number, mask=random.random(n) < 0.2)
        for field, cardinality in enumerate(CARDINALITIES, start=1):
            value = np.exp(random.random(n) * np.log(cardinality)).astype(np.uint64)
            columns[f"C{field}"] = hexadecimal((value * np.uint64(2654435761) + np.uint64(field)).astype(np.uint32))
        yield pa.table(columns)


def hexadecimal(values: np.ndarray) -> pa.Array:
    """Eight digits each."""
    digits = np.frombuffer(b"0123456789abcdef", np.uint8)
    text = digits[(values[:, None] >> np.arange(28, -1, -4, dtype=np.uint32)) & np.uint32(15)]
    offsets = np.arange(0, 8 * len(values) + 1, 8, dtype=np.int32)
    return pa.StringArray.from_buffers(len(values), pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text)))


@pytest.mark.timeout(3600)
def test_millions_of_rows_are_encoded_in_little_memory_and_read_fast(benchmark, folder: Path) -> None:
    benchmark.group = "5,000,000 rows of 39 fields: shuffled batches of 4096"
    options = {"label": "Label", "numeric": ",".join(NUMBERS), "min_count": 2}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(folder), json.dumps(options)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built = json.loads(done.stdout)
    benchmark.extra_info |= {
        "build, s": built["seconds"],
        "build, peak MB": built["bytes"] / 2**20,
        "tokens": built["tokens"],
        "text, MB": sum(path.stat().st_size for path in folder.glob("*.csv")) / 2**20,
    }
    assert built["bytes"] < MEMORY, f"{built['bytes'] / 2**20:.0f} MB"

    started = time.perf_counter()
    (fold,) = clicks.read({path.name: path for path in folder.glob("*.csv")}, folder / "store", **options)
    benchmark.extra_info["open, s"] = time.perf_counter() - started
    train = fold.training.train
    order = np.random.default_rng(0).permutation(len(train))

    def epoch() -> int:
        return sum(int(batch["ids"][-1, -1] >= 0) * len(batch["label"]) for batch in train.batches(BATCH, order))

    assert benchmark.pedantic(epoch, rounds=3, warmup_rounds=1) == ROWS["train"]
    speed = ROWS["train"] / benchmark.stats.stats.min
    benchmark.extra_info["rows per second"] = speed
    assert speed >= SPEED, f"only {speed:,.0f} rows a second"
