"""`export RUN OUTPUT`: the network of a trained run as a file that is used without this suite, or its adapter alone."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.errors import BenchmarkError

SUFFIXES = (".pt2", ".onnx", ".safetensors")


def main(argv: Sequence[str]) -> int:
    """Writes OUTPUT, whole and checked against the network or not at all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks export",
        description="Write a trained network for batches of any size: OUTPUT.pt2 for torch.export, OUTPUT.onnx for ONNX. "
        "OUTPUT.safetensors holds what an adapter trained alone, which `predict --adapter` puts into its base.",
        epilog="Inputs and outputs go by name: torch.export.load(OUTPUT).module()(**inputs) gives a dict of tensors.",
    )
    parser.add_argument("run", help="run id or folder; `latest` takes the last one")
    parser.add_argument("output", type=Path, help="a name that ends in .pt2, .onnx or .safetensors")
    parser.add_argument("--store", default="results")
    parser.add_argument("--fold", help="whose network it is, where the run has several; the first one unless given")
    options = parser.parse_args(argv)
    if options.output.suffix not in SUFFIXES:
        raise BenchmarkError(
            f"{options.output} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, for example network.pt2."
        )
    if options.output.is_dir() or not options.output.parent.is_dir():
        raise BenchmarkError(f"{options.output} must name a file in a folder that exists, for example network.pt2.")

    from benchmarks.trained import find

    trained = find(options.store, options.run, options.fold)

    if options.output.suffix == ".safetensors":
        print(trained.export_adapter(options.output))
        return 0

    from benchmarks.exporting import export

    print(export(trained.load(), options.output))
    print(f"in {options.output}, by {trained.name}")
    return 0
