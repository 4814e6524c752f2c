"""The record of one run: what was done, how well, at what cost, on what machine (schema version 2).

A record is written once and never changed. A missing figure is None; NaN and infinity are refused on writing, because JSON
has neither and because a figure that could not be computed carries a `reason` instead.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.places import RECORD

SCHEMA = 2

Status = Literal["running", "ok", "failed", "oom", "timeout", "interrupted", "skipped"]
Direction = Literal["max", "min", "target"]
Bounds = tuple[float | None, float | None]

STAMP = "%Y-%m-%dT%H:%M:%S.%fZ"
ROUNDING = 1e-6
"""How far beyond a bound sums of single precision may end."""


class Quality(msgspec.Struct, kw_only=True, omit_defaults=False, forbid_unknown_fields=True):
    """One measured quality: a metric on a split, optionally under a condition (scene, band layout, degradation).

    `value` is None where the metric is undefined, and `reason` says why. `n` counts the samples that entered, `dropped`
    those that the metric's definition leaves out. The interval is of `ci_kind`, as `bootstrap-95 over users, 943 of them`.
    `bounds` are what the metric's definition allows (an end is None where there is none) and `perfect` is the value of
    answers without any error; both are the metric's own words, None where it declares nothing.
    """

    metric: str
    metric_version: int
    split: str
    value: float | None
    unit: str = ""
    direction: Direction = "max"
    primary: bool = False
    condition: str | None = None
    n: int | None = None
    dropped: int | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    ci_kind: str | None = None
    reason: str | None = None
    bounds: Bounds | None = None
    perfect: float | None = None

    @property
    def impossible(self) -> str | None:
        """Says by how much the value lies beyond its bounds; None where it does not, or only by rounding."""
        if self.value is None or self.bounds is None:
            return None
        low, high = self.bounds
        slack = ROUNDING * max(1.0, abs(self.value))
        if low is not None and self.value < low - slack:
            limit = f"below {low:g}"
        elif high is not None and self.value > high + slack:
            limit = f"above {high:g}"
        else:
            return None
        under = f" under {self.condition}" if self.condition else ""
        return f"{self.metric}{under} is {self.value:.6g}, {limit}, which its definition rules out"


class Flops(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Floating-point operations of one prediction for one sample, under a named convention."""

    value: int
    convention: str
    input_shape: str


class Block(msgspec.Struct, array_like=True):
    """Some timed calls in a row: when they began, in seconds of the session's clock, and their median in milliseconds."""

    at: float
    median: float


class Latency(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Wall time of one prediction call in milliseconds, on fresh inputs after a warm-up.

    The calls are timed in `blocks`, between which other things are timed. Blocks of one `session` share a machine and a
    clock, so that their order tells whether two records were timed in turns; None where that is not known.
    """

    batch: int
    median: float
    p10: float
    p90: float
    repeats: int
    threads: int
    device: str
    dtype: str
    form: str = "eager"
    session: str | None = None
    blocks: list[Block] = []


class Memory(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Peak memory in bytes and how it was measured."""

    bytes: int
    device: str
    how: str


class Cost(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the solver costs to ship, to run and to make. Parameters are unique storage; `parts` splits them by module.

    `bytes_adapter` is what is shipped to those who have the base.
    """

    params_total: int | None = None
    params_trainable: int | None = None
    params_stored: int | None = None
    bytes_stored: int | None = None
    bytes_adapter: int | None = None
    parts: dict[str, int] = {}
    flops: Flops | None = None
    latency_ms: list[Latency] = []
    throughput: float | None = None
    peak_mem: Memory | None = None
    method_seconds: float | None = None
    train_seconds: float | None = None
    eval_seconds: float | None = None
    wall_seconds: float | None = None
    epochs: int | None = None
    best_epoch: int | None = None
    energy_j: float | None = None


class Provenance(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The code, the packages and the machine that made the record. `host_hash` groups machines without naming them."""

    git_sha: str | None = None
    git_dirty: bool | None = None
    git_diff_sha256: str | None = None
    python: str | None = None
    packages: dict[str, str] = {}
    torch_build: str | None = None
    cuda: str | None = None
    driver: str | None = None
    gpu_name: str | None = None
    cpu_model: str | None = None
    cores: int | None = None
    threads: int | None = None
    ram_bytes: int | None = None
    host_hash: str | None = None
    determinism: dict[str, bool | str] = {}
    pretrained: list[dict[str, str]] = []


class Failure(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Where and why a run ended: the phase, the exception, and the last lines of its traceback."""

    phase: str
    exception: str
    message: str
    advice: str | None = None
    traceback: list[str] = []


class SideFile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A file beside the record: its name, sha256 and size in bytes."""

    name: str
    sha256: str
    bytes: int


class Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One run.

    `cell` fields (task, task_version, dataset, data_fingerprint, scale) say what may be compared; `config_hash` says which
    row of that cell; `key` adds the seed and identifies the run that a repeated command would repeat.
    """

    schema: int = SCHEMA
    run_id: str
    kind: Literal["measured"] = "measured"
    status: Status
    created_utc: str
    finished_utc: str | None = None

    task: str
    task_version: int
    dataset: str
    data_fingerprint: str
    sample: bool = False
    method: str
    method_version: int = 1
    model: str | None = None
    scale: str
    protocol: str = "suite"
    seed: int
    tuned: bool = False
    config: dict[str, Any]
    config_hash: str
    key: str
    overrides: list[str] = []
    base_run: str | None = None

    quality: list[Quality] = []
    cost: Cost = msgspec.field(default_factory=Cost)
    notes: list[str] = []
    provenance: Provenance = msgspec.field(default_factory=Provenance)
    failure: Failure | None = None
    files: list[SideFile] = []

    @property
    def cell(self) -> tuple[str, int, str, str, str, str]:
        """What must agree for two records to be compared."""
        return (self.task, self.task_version, self.dataset, self.data_fingerprint, self.scale, self.protocol)

    @property
    def row(self) -> tuple[Any, ...]:
        """The cell and the configuration: records of one row differ in their seed only."""
        return (*self.cell, self.method, self.method_version, self.config_hash)

    @property
    def primary(self) -> Quality | None:
        """The row of the primary metric on the test split, over all conditions."""
        return next((q for q in self.quality if q.primary and q.split == "test" and q.condition is None), None)

    def value(self, metric: str, split: str = "test") -> float | None:
        """The value of a metric over all conditions, or None where it was not measured."""
        return next((q.value for q in self.quality if (q.metric, q.split, q.condition) == (metric, split, None)), None)


class UnreadableRecord(BenchmarkError):
    """A record that cannot be read; the text names its path. It is never skipped."""


def utc_now(after: str | None = None) -> str:
    """The time of a record, fine enough that of two with one key the later one is told; such texts sort by time.

    Where the clock was set back it is the moment `after` an earlier record, whose place the new one takes.
    """
    now = datetime.now(UTC)
    if after is not None and f"{now:{STAMP}}" <= after:
        now = datetime.fromisoformat(after) + timedelta(microseconds=1)
    return f"{now:{STAMP}}"


def encode(record: Record) -> bytes:
    """The record as indented JSON; NaN and infinity raise ValueError that names the field."""
    plain = msgspec.to_builtins(record)
    _refuse_non_finite(plain, "record")
    return msgspec.json.format(msgspec.json.encode(plain), indent=1) + b"\n"


def decode(data: bytes, path: str = "record.json") -> Record:
    """Reads a record of this or an older schema; raises UnreadableRecord with `path`, also where files lie out of its folder."""
    try:
        plain = msgspec.json.decode(data)
        version = plain.get("schema") if isinstance(plain, dict) else None
        if not isinstance(version, int) or not 1 <= version <= SCHEMA:
            raise ValueError(f"schema {version!r}; this version reads 1 to {SCHEMA}")
        for step in range(version, SCHEMA):
            plain = UPGRADES[step](plain)
        record = msgspec.convert(plain, Record)
        _refuse_names_outside(record.files)
        return record
    except (msgspec.MsgspecError, ValueError) as error:
        raise UnreadableRecord(f"{path}: {error}") from error


def _bounds_and_blocks(plain: dict[str, Any]) -> dict[str, Any]:
    """2: metrics declare bounds and a perfect value, latencies hold blocks; a record of schema 1 knows neither."""
    return plain | {"schema": 2}


UPGRADES: dict[int, Any] = {1: _bounds_and_blocks}
"""From schema version N to N + 1: functions over the decoded JSON, one for each published change."""


def canonical_hash(value: Any) -> str:
    """sha256 over canonical JSON (sorted keys, no white space): equal configurations give equal hashes on every machine."""
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def _refuse_names_outside(files: list[SideFile]) -> None:
    """Readers join these names to folders of their own, and a record of a remote store or a shard is anybody's."""
    for file in files:
        path = Path(file.name)
        if path.is_absolute() or ".." in path.parts or file.name == RECORD:
            raise ValueError(f"'{file.name}' leads out of the run's folder")


def _refuse_non_finite(value: Any, where: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where} is {value}: a record holds finite numbers or null")
    if isinstance(value, dict):
        for key, item in value.items():
            _refuse_non_finite(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_non_finite(item, f"{where}[{index}]")
