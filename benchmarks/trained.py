"""A trained run found again by its name: its record, and the solver of one of its folds."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.errors import BenchmarkError, unknown
from benchmarks.leaderboard.record import Record, decode
from benchmarks.leaderboard.store import Store

if TYPE_CHECKING:
    from benchmarks.solver import NetworkSolver


@dataclass(frozen=True)
class Trained:
    """A fold of a finished run, and the folders of all folds' solvers by fold."""

    record: Record
    fold: str
    folders: dict[str, Path]

    @property
    def name(self) -> str:
        """The run and, where there are several folds, which one and how to take another."""
        others = [fold for fold in self.folders if fold != self.fold]
        if not others:
            return self.record.run_id
        return f"{self.record.run_id}, fold {self.fold} (--fold also takes {', '.join(others)})"

    def load(self, adapter: Path | None = None) -> NetworkSolver:
        """The solver, with the task as the run had set it; raises BenchmarkError where it is no network.

        `adapter` is a file that `export` wrote, and the run its base: the solver is the adapted one.
        """
        from benchmarks.runner import load_task
        from benchmarks.solver import DESCRIPTION, NetworkSolver
        from benchmarks.spec import RunSpec

        folder = self.folders[self.fold]
        if not (folder / DESCRIPTION).is_file():
            raise BenchmarkError(
                f"Run {self.record.run_id} answers by method '{self.record.method}' without a network, so there is nothing "
                "to load. Take a run whose method trains or compresses one."
            )
        solver = NetworkSolver.load(load_task(RunSpec(tuple(self.record.overrides), self.record.config)), folder)
        if adapter is not None:
            from benchmarks.models.lowrank.adapter_file import Adapter

            Adapter.load(adapter).apply(solver.network)
        return solver

    def export_adapter(self, path: Path) -> str:
        """Copies what the run's adapter trained to a file, and returns what it is and how it is used.

        Raises BenchmarkError for a run without such a file.
        """
        from benchmarks.solver import ADAPTER, WEIGHTS

        folder = self.folders[self.fold]
        if not (folder / ADAPTER).is_file():
            raise BenchmarkError(
                f"Run {self.record.run_id} by method '{self.record.method}' keeps no adapter: it is no adapter, trained nothing, "
                "or has updates that need more than their trained numbers. Methods lora, colora, ssf, small, bias_norm and "
                "iss_delta keep one."
            )
        partial = path.with_name(f".{path.name}.partial")
        try:
            shutil.copyfile(folder / ADAPTER, partial)
            partial.replace(path)
        except OSError as error:
            raise BenchmarkError(f"{path} cannot be written: {error}.") from error
        finally:
            partial.unlink(missing_ok=True)
        size, whole = path.stat().st_size, (folder / WEIGHTS).stat().st_size
        fold = f" --fold {self.fold}" if len(self.folders) > 1 else ""
        return (
            f"adapter of {size:,} bytes beside a base of {whole:,} in {path}, by {self.name}\n"
            f"python -m benchmarks predict {self.record.base_run} INPUT OUTPUT --adapter {path}{fold}"
        )


def find(root: str, run: str, fold: str | None = None) -> Trained:
    """The run of an id or folder in the store `root`; `latest` is the one that ended last.

    Without a fold the first by name is taken. Raises BenchmarkError for a run or fold that is not there, and for a run
    without a solver.
    """
    store = Store(root)
    if run == "latest":
        records = list(store.records(status="ok"))
        if not records:
            raise BenchmarkError(
                f"The store {root} holds no finished run. Type: python -m benchmarks task=ctr method=svd"
            )
        # Not the last begun: a base is trained while the run that asked for it waits, and may end in the same second.
        ended = {record.run_id: (record.finished_utc or "", record.base_run is not None) for record in records}
        run = max(ended, key=lambda run: ended[run])
    folder = store.folder(run)
    record = decode((folder / "record.json").read_bytes(), str(folder / "record.json"))
    found = sorted((folder / "solver").iterdir()) if (folder / "solver").is_dir() else []
    folders = {place.name: place for place in found if place.is_dir()}
    if not folders:
        raise BenchmarkError(f"Run {record.run_id} ({record.status}) keeps no solver, so it cannot answer.")
    if fold is not None and fold not in folders:
        raise unknown(f"fold of run {record.run_id}:", fold, folders)
    return Trained(record, fold or next(iter(folders)), folders)
