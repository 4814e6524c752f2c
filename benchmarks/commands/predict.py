"""`predict RUN INPUT OUTPUT`: a trained run answers a file of your own."""

from __future__ import annotations

import argparse
import mimetypes
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError


def main(argv: Sequence[str]) -> int:
    """Reads INPUT as the run's task reads files, writes OUTPUT with the answers, whole or not at all.

    Where OUTPUT is a folder, or ends in a slash, the answers are a file in it that is named like INPUT.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks predict", description=__doc__)
    parser.add_argument("run", help="run id or folder; `latest` takes the last one")
    parser.add_argument("input", type=Path)
    parser.add_argument("output", help="a file, or a folder such as out/")
    parser.add_argument("--store", default="results")
    parser.add_argument("--fold", help="whose network answers, where the run has several; the first one unless given")
    parser.add_argument("--adapter", type=Path, help="a file by `export` of a run that began with this one, its base")
    options = parser.parse_args(argv)
    if not options.input.is_file():
        what = "is a folder and no file" if options.input.is_dir() else "is not there"
        raise BenchmarkError(f"{options.input} {what}. Type: python -m benchmarks predict RUN INPUT OUTPUT")
    output = Path(options.output)
    into = output.is_dir() or options.output.endswith(("/", os.sep))
    if not output.parent.is_dir():
        raise BenchmarkError(f"{output} must be in a folder that exists, for example answers.csv or answers/.")
    if into and output.exists() and not output.is_dir():
        raise BenchmarkError(f"{options.output} is a file and no folder. Type {output} to write the answers there.")

    from benchmarks.trained import find

    trained = find(options.store, options.run, options.fold)

    from benchmarks.device import device_of
    from benchmarks.inference import answers

    solver = trained.load(options.adapter)
    solver.to(device_of(trained.record.config["trainer"]["accelerator"]))
    raw, split = solver.task.read_input(options.input, solver.schema)
    if into:
        output = output / solver.task.answer_name(options.input)
    if output.is_dir():
        raise BenchmarkError(f"{output} is a folder. Name a file, or another folder, for the answers.")
    if output.resolve() == options.input.resolve():
        raise BenchmarkError(f"{output} is the input itself. Name another file or folder for the answers.")
    _refuse_to_replace(output, solver.task.answer_name(options.input))
    outputs = answers(solver, split, trained.record.config["trainer"]["batch_size"], "predict")
    partial = output.with_name(f".{output.name}.partial")
    try:
        output.parent.mkdir(exist_ok=True)
        solver.task.write_output(partial, raw, outputs)
        partial.replace(output)
    except OSError as error:
        raise BenchmarkError(f"{output} cannot be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    print(f"{len(split)} predictions in {output}, by {trained.name}")
    return 0


def _refuse_to_replace(output: Path, answer: str) -> None:
    """Raises BenchmarkError where a file of another kind than the answers' is there: it was not made by this command."""
    there, made = (str(mimetypes.guess_type(name)[0]).partition("/")[0] for name in (output.name, answer))
    if output.exists() and "None" not in (there, made) and there != made:
        raise BenchmarkError(
            f"{output} is there and is no {Path(answer).suffix}, which the answers are. Name another file for them, or remove it."
        )
