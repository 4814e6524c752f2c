"""`predict RUN INPUT OUTPUT`: a trained run answers a file of your own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError


def main(argv: Sequence[str]) -> int:
    """Reads INPUT as the run's task reads files, writes OUTPUT with the answers, whole or not at all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks predict", description=__doc__)
    parser.add_argument("run", help="run id or folder; `latest` takes the last one")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--store", default="results")
    options = parser.parse_args(argv)
    if not options.input.is_file():
        raise BenchmarkError(f"There is no file {options.input}. Type: python -m benchmarks predict RUN INPUT OUTPUT")
    if options.output.is_dir() or not options.output.parent.is_dir():
        raise BenchmarkError(f"{options.output} must name a file in a folder that exists, for example answers.csv.")

    from benchmarks.leaderboard.record import decode
    from benchmarks.leaderboard.store import Store

    store = Store(options.store)
    if options.run == "latest":
        records = list(store.records(status="ok"))
        if not records:
            raise BenchmarkError(
                f"The store {options.store} holds no finished run. Type: python -m benchmarks task=ctr method=svd"
            )
        # Not the last begun: a base is trained while the run that asked for it waits, and may end in the same second.
        ended = {record.run_id: (record.finished_utc or "", record.base_run is not None) for record in records}
        options.run = max(ended, key=lambda run: ended[run])
    folder = store.folder(options.run)
    record = decode((folder / "record.json").read_bytes(), str(folder / "record.json"))
    solvers = sorted((folder / "solver").glob("*")) if (folder / "solver").is_dir() else []
    if not solvers:
        raise BenchmarkError(f"Run {record.run_id} ({record.status}) keeps no solver, so it cannot predict.")

    from benchmarks import registry
    from benchmarks.inference import answers
    from benchmarks.solver import NetworkSolver
    from benchmarks.task import Task

    task = registry.entry("task", record.task).load(Task)()
    solver = NetworkSolver.load(task, solvers[0])
    raw, split = task.read_input(options.input, solver.schema)
    outputs = answers(solver, split, record.config["trainer"]["batch_size"], "predict")
    partial = options.output.with_name(f".{options.output.name}.partial")
    try:
        task.write_output(partial, raw, outputs)
        partial.replace(options.output)
    except OSError as error:
        raise BenchmarkError(f"{options.output} cannot be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    print(f"{len(split)} predictions of {record.run_id} in {options.output}")
    return 0
