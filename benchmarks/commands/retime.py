"""`retime BASE HEAD`: latency of stored runs anew, both sides in turns, so that `compare` can pair their blocks.

Each side is a process of its own and may run the code of another checkout. A record is never changed: a new record with the same
key takes the old one's place.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.commands.compare import ROOT
from benchmarks.commands.report import with_published
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.compare.pairs import pair_rows
from benchmarks.leaderboard.compare.sides import open_side
from benchmarks.leaderboard.record import Cost, Latency, Provenance, Record
from benchmarks.leaderboard.report.rows import Run
from benchmarks.leaderboard.store import Store
from benchmarks.successor import commit_successor

ROUNDS = 11
"""Blocks a side: two more than a paired rank test needs at least."""

Ask = Callable[[dict[str, Any]], dict[str, Any]]


def main(argv: Sequence[str]) -> int:
    """Times every row that both sides have, seed by seed, and says which records came of it."""
    arguments = _parser().parse_args(argv)
    if arguments.rounds < 1:
        raise BenchmarkError(f"--rounds {arguments.rounds} times nothing: give at least 1, and 10 for a rank test.")
    stores = with_published(Store(arguments.store))
    repository = ROOT if (ROOT / ".git").exists() else Path.cwd()
    base, head = (open_side(typed, stores, repository) for typed in (arguments.base, arguments.head))
    pairs = [pair for pair in pair_rows(base.runs, head.runs).pairs if pair.seeds and arguments.row in pair.label]
    if not pairs:
        raise BenchmarkError(
            f"No row of {base.description} has an equal in {head.description}"
            + (f" whose name holds '{arguments.row}'." if arguments.row else ".")
        )
    timed = 0
    processes = Process(arguments.base_code), Process(arguments.head_code)
    with processes[0] as first, processes[1] as second:
        for pair in pairs:
            for seed in pair.seeds:
                runs = pair.base.ok[seed], pair.head.ok[seed]
                try:
                    records = retime(runs, (first.ask, second.ask), arguments.rounds)
                except BenchmarkError as error:
                    print(f"{pair.label}, seed {seed}: not timed: {error}", file=sys.stderr)
                    continue
                timed += 1
                print(f"{pair.label}, seed {seed}: {records[0].run_id} and {records[1].run_id}")
    print(f"{timed} pairs of runs timed in {arguments.rounds} rounds")
    return 0 if timed else 1


def retime(runs: tuple[Run, Run], sides: tuple[Ask, Ask], rounds: int) -> tuple[Record, Record]:
    """Times two runs in turns, each by its own side, and commits a record of each; the side that begins changes every round."""
    if runs[0].record.run_id == runs[1].record.run_id:
        raise BenchmarkError(f"both sides are run {runs[0].record.run_id}")
    folders = [run.store.folder(run.record.run_id).absolute() for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        if not (folder / "solver").is_dir():
            raise BenchmarkError(f"run {run.record.run_id} keeps no solver (published runs do not)")
    session = uuid.uuid4().hex[:12]
    for run, folder, ask in zip(runs, folders, sides, strict=True):
        ask({"load": {"record": msgspec.to_builtins(run.record), "folder": str(folder), "session": session}})
    for turn in range(rounds):
        for ask in sides if turn % 2 == 0 else reversed(sides):
            ask({"block": turn, "of": rounds})
    answers = [ask({"finish": True}) for ask in sides]
    first, second = (
        _committed(run, other, answer) for run, other, answer in zip(runs, reversed(runs), answers, strict=True)
    )
    return first, second


def _committed(run: Run, other: Run, answer: dict[str, Any]) -> Record:
    record = run.record
    latencies = msgspec.convert(answer["latency_ms"], list[Latency])
    machine = msgspec.convert(answer["provenance"], Provenance)
    code = (
        ""
        if machine.git_sha == record.provenance.git_sha
        else f", by the code of {(machine.git_sha or 'no commit')[:12]}"
    )
    # Quality is of the code that made it; speed is of the machine and code that timed it.
    made = {
        name: getattr(record.provenance, name) for name in ("git_sha", "git_dirty", "git_diff_sha256", "pretrained")
    }
    plain = [each for each in latencies if each.form == "eager"]
    moved = machine.host_hash != record.provenance.host_hash
    cost: Cost = msgspec.structs.replace(
        record.cost,
        latency_ms=latencies,
        throughput=1000 * plain[-1].batch / plain[-1].median if plain else None,
        peak_mem=None if moved else record.cost.peak_mem,
    )
    note = f"Latency of run {record.run_id} timed again, in turns with run {other.record.run_id}{code}."
    return commit_successor(run.store, record, note, cost=cost, provenance=msgspec.structs.replace(machine, **made))


class Process:
    """A timing worker in a process of its own, with the code of a checkout (None: the code that runs here)."""

    def __init__(self, checkout: Path | None) -> None:
        self.checkout = checkout
        if checkout is not None and not (checkout / "benchmarks" / "timing_worker.py").is_file():
            raise BenchmarkError(
                f"{checkout} is no checkout that can time runs: it has no benchmarks/timing_worker.py. Name a folder with the "
                "code of a commit that knows `retime`."
            )

    def __enter__(self) -> Process:
        command = [sys.executable, "-m", "benchmarks.timing_worker"]
        self.process = subprocess.Popen(
            command,
            cwd=self.checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The worker's answer; raises BenchmarkError for an error that it explains, or where it is gone."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise BenchmarkError("the process that times it ended; what it said stands above")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchmarkError(answer["error"])
        return answer


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks retime", description="Latency of stored runs anew, both sides in turns."
    )
    parser.add_argument("base", metavar="BASE", help="a store, or a git revision of the runs in --store")
    parser.add_argument("head", metavar="HEAD", help="the same, for what is judged")
    parser.add_argument("--store", default="results", help="where the runs of revisions are (default: results)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"blocks a side (default: {ROUNDS})")
    parser.add_argument("--row", default="", metavar="TEXT", help="only rows whose name holds this text")
    for side in ("base", "head"):
        parser.add_argument(f"--{side}-code", type=Path, metavar="FOLDER", help=f"a checkout whose code times {side}")
    return parser
