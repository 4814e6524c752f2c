"""Fixtures of runs that take a second; what needs torch is imported where it is used, as many tests here do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.leaderboard.store import Store


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Runs of this module are hurried: fewer metrics, resamples and timed calls."""
    from quick_runs import quickly

    with quickly():
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], folder: Path) -> Callable[..., str]:
    """Runs a command line that must end in one paragraph, with nothing on the disk that was not there before."""
    from benchmarks.__main__ import main

    def run(*words: str) -> str:
        before = sorted(folder.rglob("*"))
        capsys.readouterr()
        assert main(list(words)) == 1
        output = capsys.readouterr()
        assert output.out == ""
        lines = output.err.splitlines()
        assert [line.startswith("error: ") for line in lines].index(True) == len(lines) - 1, output.err
        assert [path for path in sorted(folder.rglob("*")) if ".locks" not in path.parts] == before
        return lines[-1]

    return run


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The titles of all trainings."""
    from benchmarks import trainer

    titles: list[str] = []
    real = trainer.fit

    def counted(*arguments, title: str, **options):
        titles.append(title)
        return real(*arguments, title=title, **options)

    monkeypatch.setattr(trainer, "fit", counted)
    return titles


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an SVD run, its companions, and a report; made once a process, so tests copy what they would change."""
    from benchmarks.__main__ import main
    from quick_runs import QUICK, quickly

    work = tmp_path_factory.mktemp("trained")
    with quickly(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        assert main([*QUICK, "method=svd", "method.rank=4"]) == 0
    return work


@pytest.fixture
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Latency is timed over as few calls as there may be."""
    from benchmarks import profiling

    monkeypatch.setattr(profiling, "WARM_UP_SECONDS", 0.0)
    monkeypatch.setattr(profiling, "MEASURE_SECONDS", 0.0)
