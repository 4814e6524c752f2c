"""A network in a file that is used without this suite: a program of torch.export, or ONNX."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from benchmarks.errors import BenchmarkError
from benchmarks.solver import NetworkSolver
from benchmarks.task import Batch, Outputs, Task

TRACED, CHECKED = 6, (1, 7)
"""Batch sizes that the program is made from and, once written and read again, compared on."""
TOLERANCE = 1e-4
"""Between an answer of the file and of the network, as a share of the largest number or of 1."""
ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
SCHEMA = "schema.json"

Answer = Callable[[Batch], Mapping[str, np.ndarray]]


class Answers(nn.Module):
    """What a solver answers: inputs by name -> outputs by name."""

    def __init__(self, task: Task, network: nn.Module) -> None:
        super().__init__()
        self.task = task
        self.network = network

    def forward(self, **batch: Tensor) -> Outputs:
        return self.task.predict(self.network, batch)


def export(solver: NetworkSolver, path: Path) -> str:
    """Writes the network for batches of any size to a .pt2 or .onnx file, and returns what goes in and comes out.

    The form is that of `Task.exported`, or the network as it stands where ONNX lacks a part of that form. What it was trained
    for (field names, lengths, units) goes with it as JSON: the
    extra file `schema.json` of a program, the property `schema` of an ONNX model. The file is read again and must answer
    as the network does; else, and for a network that cannot be exported, BenchmarkError is raised and nothing is left.
    """
    write = {".pt2": _write_program, ".onnx": _write_onnx}[path.suffix]
    if write is _write_onnx:
        require_onnx()
    answers = Answers(solver.task, solver.network).eval()
    example = solver.task.example(solver.schema, TRACED)
    with torch.no_grad():
        outputs = answers(**example)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        with _quiet():
            made = Answers(solver.task, solver.task.exported(solver.network)).eval()
            schema = json.dumps(dict(solver.schema))
            try:
                answer = write(_program(made, example), list(outputs), schema, partial)
            except BenchmarkError:
                # ONNX has no products of complex numbers, which a quicker form may be made of.
                if write is not _write_onnx or made.network is solver.network:
                    raise
                answer = write(_program(answers, example), list(outputs), schema, partial)
        for size in CHECKED:
            _compare(answer, answers, solver.task.example(solver.schema, size), path)
        partial.replace(path)
    except OSError as error:
        raise BenchmarkError(f"{path} cannot be written: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return f"{_shapes(example)} -> {_shapes(outputs)}"


def require_onnx() -> None:
    """Raises BenchmarkError where a package is missing that ONNX files are written or checked with."""
    if missing := [package for package in ONNX_PACKAGES if find_spec(package) is None]:
        raise BenchmarkError(
            f"ONNX needs {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not installed. "
            f"Type: pip install {' '.join(missing)}. A .pt2 file needs nothing but torch."
        )


def _program(answers: Answers, example: Batch) -> ExportedProgram:
    batch = torch.export.Dim("batch", min=1)
    shapes = {"batch": {name: {0: batch} for name in example}}
    try:
        with torch.no_grad():
            return torch.export.export(answers, (), example, dynamic_shapes=shapes, strict=True)
    except Exception as error:  # torch raises its own errors, and those of whatever the network calls
        raise BenchmarkError(f"This network cannot be exported: {_first_line(error)}.") from error


def _write_program(program: ExportedProgram, names: list[str], schema: str, path: Path) -> Answer:
    torch.export.save(program, path, extra_files={SCHEMA: schema})
    loaded = torch.export.load(path).module()

    def answer(batch: Batch) -> Mapping[str, np.ndarray]:
        with torch.no_grad():
            return {name: output.numpy() for name, output in loaded(**batch).items()}

    return answer


def _write_onnx(program: ExportedProgram, names: list[str], schema: str, path: Path) -> Answer:
    import onnxruntime

    inputs = program.example_inputs[1]
    try:
        made: Any = torch.onnx.export(
            program, output_names=names, dynamic_shapes={name: {0: "batch"} for name in inputs}, verbose=False
        )
    except torch.onnx.errors.OnnxExporterError as error:
        raise BenchmarkError(
            f"This network has a part that ONNX lacks: {_first_line(error.__cause__ or error)}. Write a .pt2 file instead."
        ) from error
    made.model.metadata_props["schema"] = schema
    made.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    used = {entry.name for entry in session.get_inputs()}

    def answer(batch: Batch) -> Mapping[str, np.ndarray]:
        given = {name: value.numpy() for name, value in batch.items() if name in used}
        return dict(zip(names, session.run(names, given), strict=True))

    return answer


def _compare(answer: Answer, answers: Answers, batch: Batch, path: Path) -> None:
    found = answer(batch)
    with torch.no_grad():
        expected = {name: output.numpy() for name, output in answers(**batch).items()}
    for name, value in expected.items():
        difference = np.abs(found[name] - value).max()
        if found[name].shape != value.shape or not difference <= TOLERANCE * max(1.0, np.abs(value).max()):
            raise BenchmarkError(
                f"{path} was not written: its '{name}' for a batch of {len(value)} differs from the network's by {difference:g}."
            )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what torch says of its own workings; whether the file is right is checked."""
    logger = logging.getLogger("torch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _shapes(batch: Mapping[str, Tensor]) -> str:
    return ", ".join(
        f"{name} {str(value.dtype).removeprefix('torch.')} [{', '.join(map(str, ('batch', *value.shape[1:])))}]"
        for name, value in batch.items()
    )


def _first_line(error: BaseException) -> str:
    return next((line.strip().rstrip(".:") for line in str(error).splitlines() if line.strip()), type(error).__name__)
