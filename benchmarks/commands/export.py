"""`export RUN OUTPUT`: the network of a trained run as a file that is used without this suite."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError

SUFFIXES = (".pt2", ".onnx")


def main(argv: Sequence[str]) -> int:
    """Writes OUTPUT, whole and checked against the network or not at all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks export",
        description="Write a trained network for batches of any size: OUTPUT.pt2 for torch.export, OUTPUT.onnx for ONNX.",
        epilog="Inputs and outputs go by name: torch.export.load(OUTPUT).module()(**inputs) gives a dict of tensors.",
    )
    parser.add_argument("run", help="run id or folder; `latest` takes the last one")
    parser.add_argument("output", type=Path, help="a name that ends in .pt2 or .onnx")
    parser.add_argument("--store", default="results")
    parser.add_argument("--fold", help="whose network it is, where the run has several; the first one unless given")
    options = parser.parse_args(argv)
    if options.output.suffix not in SUFFIXES:
        raise BenchmarkError(f"{options.output} must end in {' or '.join(SUFFIXES)}, for example network.pt2.")
    if options.output.is_dir() or not options.output.parent.is_dir():
        raise BenchmarkError(f"{options.output} must name a file in a folder that exists, for example network.pt2.")

    from benchmarks.trained import find

    trained = find(options.store, options.run, options.fold)

    from benchmarks.exporting import export

    print(export(trained.load(), options.output))
    print(f"in {options.output}, by {trained.name}")
    return 0
