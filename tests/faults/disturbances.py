"""What the drill does to runs: processes that are forked and killed, moved clocks, small disks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from benchmarks import runner, trainer
from benchmarks.__main__ import main as command_line
from benchmarks.leaderboard import draft, record

WORDS = (
    "task=ctr", "method=none", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[32,32]",
    "trainer.batch_size=1024", "trainer.max_epochs=4", "trainer.progress=false", "trainer.accelerator=cpu",
    "trainer.threads=1", "profile=none", "companions=false", "report=false",
)  # fmt: skip
Disturb = Callable[[], None]


@dataclass
class Ended:
    """A process that has ended: its exit code (negative: a signal) and what it printed on standard error."""

    code: int
    errors: str


class Child:
    """A forked process that types a command, after `disturb` has prepared its fault."""

    def __init__(self, folder: Path, *words: str, disturb: Disturb | None = None) -> None:
        self.log = folder / f".errors-{time.monotonic_ns()}"
        self.pid = os.fork()
        if self.pid:
            return
        code = 70
        try:
            os.chdir(folder)
            for stream, path in ((1, os.devnull), (2, self.log)):
                os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            if disturb:
                disturb()
            code = command_line([*WORDS, *words])
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def wait(self) -> Ended:
        _, status = os.waitpid(self.pid, 0)
        return Ended(os.waitstatus_to_exitcode(status), self.log.read_text(encoding="utf-8", errors="replace"))


def type_command(folder: Path, *words: str, disturb: Disturb | None = None) -> Ended:
    return Child(folder, *words, disturb=disturb).wait()


def kill_here() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in(phase: str) -> Disturb:
    """kill -9 when a phase has begun."""

    def disturb() -> None:
        real = draft.Draft.enter

        def enter(self: draft.Draft, entered: str) -> None:
            real(self, entered)
            if entered == phase:
                kill_here()

        draft.Draft.enter = enter  # type: ignore[method-assign]

    return disturb


def kill_at(owner: object, name: str, *, after: bool = False) -> Disturb:
    """kill -9 before (or after) the first call of a function."""

    def disturb() -> None:
        real = getattr(owner, name)

        def call(*arguments, **options):
            if not after:
                kill_here()
            real(*arguments, **options)
            kill_here()

        setattr(owner, name, call)

    return disturb


def after_two_epochs(then: Disturb) -> None:
    """Does something when the checkpoint of the second epoch has been written."""
    trainer.CHECKPOINT_SECONDS = -1.0
    real = trainer.Selection._save

    def save(self: trainer.Selection, lightning_trainer) -> None:
        real(self, lightning_trainer)
        if len(self.history.rows) == 2:
            then()

    trainer.Selection._save = save  # type: ignore[method-assign]


def kill_after_two_epochs() -> None:
    after_two_epochs(kill_here)


def clock(**shift: float) -> Disturb:
    """All clocks of records, drafts and heartbeats moved: the machine's own may not be set here."""

    def disturb() -> None:
        moved = timedelta(**shift)

        class Moved(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.now(tz) + moved

        for module in (record, draft, runner):
            module.datetime = Moved  # type: ignore[attr-defined]
        real = time.time
        time.time = lambda: real() + moved.total_seconds()

    return disturb


@contextmanager
def small_disk(folder: Path, kilobytes: int, *options: str) -> Iterator[None]:
    """A file system of its own on a folder; raises OSError where this user may not mount one."""
    folder.mkdir(parents=True)
    option = ",".join([f"size={kilobytes}k", *options])
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", option, "none", str(folder)], capture_output=True, text=True)
    if done.returncode:
        raise OSError(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as stream:
        try:
            while True:
                stream.write(bytes(4096))
        except OSError:
            return


def remount(folder: Path, mode: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


def wait_for(path: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.02)
