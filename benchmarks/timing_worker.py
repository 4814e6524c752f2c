"""A process that times one stored run block by block, whenever it is told to: `retime` lets two of them take turns.

It reads one JSON object a line and answers each with one: {"load": {record, folder, session}} loads and warms up,
{"block": n, "of": m} times a block of every batch size, {"finish": true} gives the latencies and the provenance. A process of its
own, so that each side may run the code of its own checkout.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec
import torch

from benchmarks.device import device_of
from benchmarks.errors import BenchmarkError
from benchmarks.inference import inputs
from benchmarks.leaderboard.record import Record
from benchmarks.profiling import Timer, timers_of
from benchmarks.provenance import provenance
from benchmarks.runner import SOLVER, load_task
from benchmarks.spec import RunSpec
from benchmarks.trained import Trained


class Worker:
    """The timers of the run that was loaded last."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []
        self.session = ""

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What is answered to one line; raises BenchmarkError for a run that cannot be timed."""
        if "load" in asked:
            self.load(**asked["load"])
            return {"timers": len(self.timers)}
        if "block" in asked:
            for timer in self.timers:
                timer.block(asked["block"], asked["of"])
            return {}
        latencies = [timer.latency(self.session) for timer in self.timers]
        return {"latency_ms": msgspec.to_builtins(latencies), "provenance": msgspec.to_builtins(provenance())}

    def load(self, record: dict[str, Any], folder: str, session: str) -> None:
        """Loads a run's solver and the validation samples that its first profile was taken on."""
        run = msgspec.convert(record, Record)
        spec = RunSpec(tuple(run.overrides), run.config)
        if threads := spec.config["trainer"]["threads"]:
            torch.set_num_threads(threads)
        task = load_task(spec)
        fold = task.data(spec.card.id, spec.data_options).folds[0]
        place = Path(folder) / SOLVER / fold.name
        solver = Trained(run, fold.name, {fold.name: place}).load()
        solver.to(device_of(spec.config["trainer"]["accelerator"]))
        self.session = session
        self.timers = timers_of(solver, inputs(fold.training.val, task), task)
        for timer in self.timers:
            timer.warm_up()


def main() -> None:
    """Answers lines of standard input until it ends; what libraries print goes to standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr
    worker = Worker()
    for line in sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except BenchmarkError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
