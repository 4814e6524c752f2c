"""The fault drill: real runs that are killed, starved and disturbed, and what is left of them. It writes FAULTS.md.

    python tests/faults/drill.py --write

Every fault meets the command line itself, in a process that is forked after the imports. Afterwards the same command is
typed again, and three things must hold: one `ok` record with the values of a run that nothing disturbed, no damage that
`verify` would find, and no draft left. The table holds what a user reads.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from disturbances import (  # noqa: E402
    Child,
    Disturb,
    Ended,
    after_two_epochs,
    clock,
    fill,
    kill_after_two_epochs,
    kill_at,
    kill_in,
    remount,
    small_disk,
    type_command,
    wait_for,
)

from benchmarks import preemption, provenance, scoring  # noqa: E402
from benchmarks.ctr.metrics import METRICS  # noqa: E402
from benchmarks.ctr.task import CTR  # noqa: E402
from benchmarks.datasets import cache  # noqa: E402
from benchmarks.datasets.card import DatasetCard, FileSource  # noqa: E402
from benchmarks.errors import BenchmarkError  # noqa: E402
from benchmarks.leaderboard import draft  # noqa: E402
from benchmarks.leaderboard.store import Store  # noqa: E402
from benchmarks.leaderboard.verify import verify  # noqa: E402

DOCUMENT = ROOT / "FAULTS.md"
PHASES = ("setup", "data", "fit", "evaluate", "pictures", "score", "profile")


@dataclass(frozen=True)
class Row:
    """One fault: what was done, what the user read first, what the same command did then."""

    fault: str
    told: str
    then: str


def told(ended: Ended) -> str:
    """The line that speaks of the fault, without what differs from run to run."""
    spoken = ("error: ", "interrupted: ", "An earlier run was cut off")
    text = next((line for line in ended.errors.splitlines() if line.startswith(spoken)), "")
    text = re.sub(r"\d{8}T\d{6}-none-deepfm-s\d-[0-9a-f]{6}", "RUN", text)
    return re.sub(r"/[\w./-]*/(?=results|cache)", ".../", text)


def check(folder: Path, reference: dict[str, float | None], ended: Ended, *words: str, made: int = 1) -> str:
    """What lies in the store after all; raises AssertionError where something was lost, doubled or damaged."""
    store = Store(folder / "results")
    assert ended.code == 0, ended.errors
    records = list(store.records())
    fine = [found for found in records if found.status == "ok"]
    assert len(fine) == made, [found.status for found in records]
    assert len({found.run_id for found in records}) == len(records)
    for found in fine:
        assert {row.metric: row.value for row in found.quality} == reference, "other values than an undisturbed run"
    assert verify(store) == []
    assert not draft.list_drafts(store.drafts)
    others = [found.status for found in records if found.status != "ok"]
    notes = [note for found in fine for note in found.notes if "resumed" in note or "damaged" in note]
    left = [f"{len(fine)} ok", *(f"{others.count(status)} {status}" for status in sorted(set(others)))]
    return "; ".join([", ".join(left), *notes])


def drill(work: Path) -> Iterator[Row]:
    """All faults one after the other; raises AssertionError at the first that loses, doubles or damages anything."""
    quiet = work / "undisturbed"
    quiet.mkdir()
    assert type_command(quiet).code == 0
    (undisturbed,) = Store(quiet / "results").records()
    reference = {row.metric: row.value for row in undisturbed.quality}

    def again(name: str, disturb: Disturb) -> Row:
        folder = work / re.sub(r"\W+", "-", name)
        folder.mkdir()
        first = type_command(folder, disturb=disturb)
        assert first.code == -signal.SIGKILL, first.errors
        second = type_command(folder)
        return Row(name, told(second), check(folder, reference, second))

    for phase in PHASES:
        yield again(f"kill -9 in phase {phase}", kill_in(phase))
    yield again("kill -9 after two epochs of training", kill_after_two_epochs)
    yield again("kill -9 before the draft has its note", kill_at(draft.DraftNote, "write"))
    yield again("kill -9 while side files are hashed", kill_at(draft, "digest"))
    yield again("kill -9 between the record and its place", kill_at(draft, "seal", after=True))
    yield from (fault(work, reference) for fault in (damaged_checkpoint, sigterm, twice_at_once))
    yield from (fault(work, reference) for fault in (clock_forward, clock_back))
    for mounted in (full_disk, read_only_cache):
        try:
            yield mounted(work, reference)
        except OSError as error:
            print(f"not drilled: {mounted.__name__}: {error}", file=sys.stderr)


def damaged_checkpoint(work: Path, reference: dict) -> Row:
    folder = work / "checkpoint"
    folder.mkdir()
    type_command(folder, disturb=kill_after_two_epochs)
    (path,) = folder.glob("results/.draft/*/checkpoints/all/train/last.ckpt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    second = type_command(folder)
    return Row("one byte of the checkpoint flipped", told(second), check(folder, reference, second))


def sigterm(work: Path, reference: dict) -> Row:
    folder = work / "sigterm"
    folder.mkdir()

    def wait() -> None:
        Path("two").touch()
        time.sleep(60)

    child = Child(folder, disturb=lambda: after_two_epochs(wait))
    wait_for(folder / "two")
    os.kill(child.pid, signal.SIGTERM)
    first = child.wait()
    assert first.code == 130, first.errors
    assert preemption.MESSAGE in first.errors
    second = type_command(folder)
    return Row(
        "SIGTERM after two epochs (a scheduler takes the machine)", told(first), check(folder, reference, second)
    )


def twice_at_once(work: Path, reference: dict) -> Row:
    folder = work / "twice"
    folder.mkdir()
    children = [Child(folder), Child(folder)]
    first, second = (child.wait() for child in children)
    assert first.code == 0, first.errors
    return Row("the same command started twice at once", "", check(folder, reference, second))


def clock_forward(work: Path, reference: dict) -> Row:
    """Another start, two days ahead, must not take a run for dead that is being made."""
    folder = work / "forward"
    folder.mkdir()

    def wait_for_the_other() -> None:
        real = draft.Draft.enter

        def enter(self: draft.Draft, phase: str) -> None:
            real(self, phase)
            if phase == "fit":
                Path("begun").touch()
                wait_for(Path("go"))

        draft.Draft.enter = enter  # type: ignore[method-assign]

    child = Child(folder, disturb=wait_for_the_other)
    wait_for(folder / "begun")
    other = type_command(folder, "seed=1", disturb=clock(days=2))
    assert other.code == 0, other.errors
    (folder / "go").touch()
    first = child.wait()
    (one,) = [found for found in Store(folder / "results").records() if found.seed == 1]
    shutil.rmtree(folder / "results" / one.task / one.run_id)
    return Row("clock two days forward while a run is made", "", check(folder, reference, first))


def clock_back(work: Path, reference: dict) -> Row:
    """A run that is made again after the clock was mended counts as the later one."""
    folder = work / "back"
    folder.mkdir()
    assert type_command(folder, disturb=clock(days=1)).code == 0
    (early,) = Store(folder / "results").records()
    second = type_command(folder, "if_exists=rerun")
    found = Store(folder / "results").find(early.key)
    assert found is not None
    assert found.run_id != early.run_id, "the earlier run still counts"
    return Row("clock a day back, then if_exists=rerun", "", check(folder, reference, second, made=2))


def full_disk(work: Path, reference: dict) -> Row:
    """Somebody fills the disk after two epochs; the epochs must not be lost."""
    folder = work / "full"

    def fill_after_two_epochs() -> None:
        after_two_epochs(lambda: fill(Path("ballast")))

    with small_disk(folder, 4096):
        first = type_command(folder, disturb=fill_after_two_epochs)
        assert first.code == 1, first.errors
        assert "Traceback" not in first.errors, first.errors
        (folder / "ballast").unlink()
        second = type_command(folder)
        return Row("the disk is full after two epochs of training", told(first), check(folder, reference, second))


def read_only_cache(work: Path, reference: dict) -> Row:
    """A cache that may only be read serves what it has, and says in a line what it lacks."""
    folder = work / "read-only"
    (folder / "mirror" / "toy").mkdir(parents=True)
    (folder / "mirror" / "toy" / "a.txt").write_bytes(b"clicks")
    os.environ |= {"BENCH_DATA": str(folder / "cache"), "BENCH_MIRROR": str(folder / "mirror")}
    sha = hashlib.sha256(b"clicks").hexdigest()
    card = DatasetCard(
        id="toy", title="Toy", task=["ctr"], summary="s", licence="l", citation="c", reader="r", reader_version=1,
        files=[FileSource(path="a.txt", sha256=sha, how="Ask the author.")],
    )  # fmt: skip
    with small_disk(folder / "cache", 512):
        remount(folder / "cache", "ro")
        try:
            cache.fetch(card)
        except BenchmarkError as error:
            first = Ended(1, f"error: {error}")
        remount(folder / "cache", "rw")
        cache.fetch(card)
        remount(folder / "cache", "ro")
        shutil.rmtree(folder / "mirror")
        assert cache.fetch(card)["a.txt"].read_bytes() == b"clicks"
        run = work / "beside a read-only cache"
        run.mkdir()
        second = type_command(run)
    return Row("the data cache is read-only and lacks a file", told(first), check(run, reference, second))


def lighten() -> None:
    """Two metrics and few resamples: the others have tests of their own."""
    CTR.metrics = METRICS[:2]
    scoring.RESAMPLES = 20
    provenance._git = lambda: (None, None, None)  # type: ignore[assignment]
    import lightning  # noqa: F401 - before the forks, so that none of them pays for it


def document(rows: list[Row]) -> str:
    lines = [
        "# Faults",
        "",
        "What happens to a run that is killed, starved or disturbed. This table is written by `python tests/faults/drill.py",
        "--write`, which does all of it to real runs; a slow test compares it with what happens today. Every row was checked",
        "for the same: one `ok` record with the values of an undisturbed run, nothing that `verify` would find, no draft left.",
        "",
        "| fault | what you read | in the store, after the same command was typed again |",
        "|---|---|---|",
        *(f"| {row.fault} | {row.told or 'nothing'} | {row.then} |" for row in rows),
        "",
        "A clock is moved for the process alone, not for the machine. The full disk and the read-only cache are file systems",
        "in memory, for which the drill needs the right to mount.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--write", type=Path, nargs="?", const=DOCUMENT, help=f"write the table (to {DOCUMENT.name})")
    arguments = parser.parse_args()
    lighten()
    rows = []
    with tempfile.TemporaryDirectory(prefix="benchmarks-drill-") as work:
        for row in drill(Path(work)):
            print(f"{row.fault}: {row.told or 'nothing'} -> {row.then}", flush=True)
            rows.append(row)
    if arguments.write:
        arguments.write.write_text(document(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
