"""The shared keys of every run, typed: a wrong type or an unknown key fails while the configuration is composed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class Schedule(Enum):
    """Learning-rate schedules of the trainer."""

    none = "none"
    plateau = "plateau"
    cosine = "cosine"
    one_cycle = "one_cycle"
    step = "step"
    polynomial = "polynomial"


class Optimizer(Enum):
    """Optimisers of the trainer."""

    adam = "adam"
    adamw = "adamw"
    sgd = "sgd"


class Tables(Enum):
    """How embedding tables are trained: as all else, or by the rows that a batch touches."""

    dense = "dense"
    rowwise_adagrad = "rowwise_adagrad"


Precision = Enum(
    "Precision",
    {
        "32-true": "32-true",
        "16-mixed": "16-mixed",
        "bf16-mixed": "bf16-mixed",
    },
)
"""Number formats of the trainer, by Lightning's names: those that keep weights, metrics and what is saved in 32 bits."""


class Accelerator(Enum):
    """Where the trainer computes; `auto` takes what the machine has."""

    auto = "auto"
    cpu = "cpu"
    gpu = "gpu"
    cuda = "cuda"
    mps = "mps"


class Strategy(Enum):
    """How several devices share a run, by Lightning's names; `auto` is `ddp` where there are several. `fsdp` cuts weights,
    gradients and the optimiser's state up over them, with the same results."""

    auto = "auto"
    ddp = "ddp"
    ddp_find_unused_parameters_true = "ddp_find_unused_parameters_true"
    fsdp = "fsdp"


class Logger(Enum):
    """Lightning loggers that a run can also write to."""

    csv = "csv"
    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


class Profile(Enum):
    """How much is measured after training: nothing, sizes and a few timed calls (for smoke runs, whose times nobody compares),
    sizes and latency, or also peak memory in a fresh process."""

    none = "none"
    brief = "brief"
    fast = "fast"
    full = "full"


class IfExists(Enum):
    """What to do where the store already holds this run: use it (one that failed is made again), leave it alone however it
    ended, run again, or stop."""

    reuse = "reuse"
    skip = "skip"
    rerun = "rerun"
    error = "error"


class Protocol(Enum):
    """The suite's rules of measurement, or whatever the upstream did otherwise (marked, never ranked with the suite's)."""

    suite = "suite"
    upstream = "upstream"


@dataclass
class Trainer:
    """How gradient methods are trained. The learning rate falls tenfold at each epoch without a gain (plateau), by
    `step_factor` in `milestones` (step), along a half cosine or one cycle, or as (1 - t)^0.9 (polynomial); `patience` epochs
    without a gain of `min_delta` end the run. `beta2` is the decay of Adam's mean of squared gradients. Validation follows
    every `validate_every` epochs, and the last one, in the precision of training. `tables=rowwise_adagrad` trains tables by
    the rows that a batch touches, with one number of state a row. `workers` processes make batches ahead where a sample is
    read or computed when it is asked for."""

    max_epochs: int = 100
    batch_size: int = 4096
    optimizer: Optimizer = Optimizer.adam
    tables: Tables = Tables.dense
    table_learning_rate: float = 1e-2
    learning_rate: float = 1e-3
    beta2: float = 0.999
    weight_decay: float = 0.0
    schedule: Schedule = Schedule.none
    warmup_epochs: float = 0.0
    milestones: list[int] = field(default_factory=list)
    step_factor: float = 0.1
    min_learning_rate: float = 1e-6
    patience: int | None = None
    min_delta: float = 0.0
    validate_every: int = 1
    gradient_clip: float | None = None
    accumulate: int = 1
    ema_decay: float | None = None
    precision: Precision = Precision["32-true"]
    compile: bool = False
    deterministic: bool = True
    accelerator: Accelerator = Accelerator.auto
    devices: int = 1
    strategy: Strategy = Strategy.auto
    threads: int | None = None
    workers: int = 0
    logger: Logger | None = None
    progress: bool = True


@dataclass
class Finetune:
    """Training after compression, and of what adapts. What is not named here, or null, is as in `trainer`; 0 epochs means
    none. `head_learning_rate` is the rate of what the network always trains, which mostly begins at random. `distill`
    is the share of the loss that asks for the answers of the uncompressed base in place of the data's."""

    max_epochs: int = 1
    learning_rate: float = 1e-4
    head_learning_rate: float | None = None
    batch_size: int | None = None
    warmup_epochs: float | None = None
    gradient_clip: float | None = None
    patience: int | None = None
    distill: float = 0.0


@dataclass
class Settings:
    """All keys of a run. `task`, `model`, `data` and `method` are groups of YAML files, open to their own keys. `shots` is how
    many training samples (whole groups, where they come in groups) a run sees, drawn by its seed; null: all. The schema, with
    its counts and means, is that of all samples at any number."""

    task: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    method: dict[str, Any] = field(default_factory=dict)
    trainer: Trainer = field(default_factory=Trainer)
    finetune: Finetune = field(default_factory=Finetune)
    tuned: dict[str, Any] | None = None
    scale: str = "small"
    seed: int = 0
    shots: int | None = None
    weights: str | None = None
    protocol: Protocol = Protocol.suite
    profile: Profile = Profile.fast
    pictures: bool = True
    companions: bool = True
    if_exists: IfExists = IfExists.reuse
    store: str = "results"
    report: bool = True


NUMERIC = frozenset(Trainer.__dataclass_fields__) - {
    "accelerator", "devices", "strategy", "threads", "workers", "logger", "progress", "deterministic",
}  # fmt: skip
"""Trainer keys that change numbers on purpose; the others say where and how visibly a run is made."""


class Range(NamedTuple):
    """Numbers from `low` to `high`, without the ends where `open` is set."""

    low: float
    high: float = math.inf
    open: bool = False

    def __contains__(self, value: object) -> bool:
        assert isinstance(value, int | float)
        return self.low < value < self.high if self.open else self.low <= value <= self.high

    def __str__(self) -> str:
        least = f"above {self.low}" if self.open else f"{self.low} or more"
        most = "" if self.high == math.inf else f" and below {self.high}" if self.open else f" and at most {self.high}"
        return least + most


RANGES = {
    "seed": Range(0, 2**32 - 1),
    "shots": Range(1),
    "trainer.max_epochs": Range(0),
    "trainer.batch_size": Range(1),
    "trainer.learning_rate": Range(0, open=True),
    "trainer.beta2": Range(0, 1, open=True),
    "trainer.weight_decay": Range(0),
    "trainer.table_learning_rate": Range(0, open=True),
    "trainer.warmup_epochs": Range(0),
    "trainer.min_learning_rate": Range(0),
    "trainer.step_factor": Range(0, 1, open=True),
    "trainer.patience": Range(1),
    "trainer.min_delta": Range(0),
    "trainer.validate_every": Range(1),
    "trainer.gradient_clip": Range(0, open=True),
    "trainer.accumulate": Range(1),
    "trainer.ema_decay": Range(0, 1, open=True),
    "trainer.devices": Range(1),
    "trainer.threads": Range(1),
    "trainer.workers": Range(0),
    "finetune.max_epochs": Range(0),
    "finetune.learning_rate": Range(0, open=True),
    "finetune.head_learning_rate": Range(0, open=True),
    "finetune.batch_size": Range(1),
    "finetune.warmup_epochs": Range(0),
    "finetune.gradient_clip": Range(0, open=True),
    "finetune.patience": Range(1),
    "finetune.distill": Range(0, 1),
}
"""What the shared numbers may be."""
