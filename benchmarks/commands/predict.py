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
    parser.add_argument("--fold", help="whose network answers, where the run has several; the first one unless given")
    options = parser.parse_args(argv)
    if not options.input.is_file():
        raise BenchmarkError(f"There is no file {options.input}. Type: python -m benchmarks predict RUN INPUT OUTPUT")
    if options.output.is_dir() or not options.output.parent.is_dir():
        raise BenchmarkError(f"{options.output} must name a file in a folder that exists, for example answers.csv.")

    from benchmarks.trained import find

    trained = find(options.store, options.run, options.fold)

    from benchmarks.inference import answers

    solver = trained.load()
    raw, split = solver.task.read_input(options.input, solver.schema)
    outputs = answers(solver, split, trained.record.config["trainer"]["batch_size"], "predict")
    partial = options.output.with_name(f".{options.output.name}.partial")
    try:
        solver.task.write_output(partial, raw, outputs)
        partial.replace(options.output)
    except OSError as error:
        raise BenchmarkError(f"{options.output} cannot be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    print(f"{len(split)} predictions in {options.output}, by {trained.name}")
    return 0
