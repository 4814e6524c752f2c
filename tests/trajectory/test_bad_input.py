"""Recordings with mistakes, as files to predict and as a data set of one's own: what is said of them, and what is left."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from hydra.core.config_store import ConfigStore

from benchmarks import provenance, scoring
from benchmarks.__main__ import main
from benchmarks.datasets import card, catalogue
from benchmarks.trajectory.metrics import METRICS
from benchmarks.trajectory.task import Trajectory

QUICK = ("task=trajectory", "method=constant_velocity", "profile=none", "companions=false", "report=false")
FRAMES = 120

Row = tuple
Spoil = Callable[[list[Row]], list[Row]]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Two metrics and few resamples: the others and their intervals have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trajectory, "metrics", METRICS[:2])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(provenance, "_git", lambda: (None, None, None))
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store with one run."""
    store = str(tmp_path_factory.mktemp("trained") / "results")
    assert main([*QUICK, "scale=smoke", f"store={store}"]) == 0
    return store


@pytest.fixture
def predict(trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[Row]], int]:
    """Asks the run for forecasts of eight frames; there is an older answer already."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def ask(rows: list[Row]) -> int:
        write(Path("obs.csv"), rows)
        Path("out.csv").write_text("older")
        return main(["predict", "latest", "obs.csv", "out.csv", "--store", trained])

    return ask


@pytest.fixture
def run(data_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[list[Row]], int]]:
    """Runs the baseline on a card for two recordings, of which the second one is given."""
    cards, mirror = tmp_path / "cards", tmp_path / "mirror"
    (mirror / "my_crowd").mkdir(parents=True)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("BENCH_MIRROR", str(mirror))
    monkeypatch.setattr(catalogue, "CARDS", cards)
    forget()

    def start(rows: list[Row]) -> int:
        files = [mirror / "my_crowd" / name for name in ("hall.csv", "yard.csv")]
        write(files[0], walk(FRAMES))
        write(files[1], rows)
        cards.mkdir()
        content = {
            "id": "my_crowd", "title": "My crowd", "task": ["trajectory"], "summary": "Two recordings", "licence": "mine",
            "citation": "none", "reader": "recordings", "reader_version": 1, "options": {"min_pedestrians": 2},
            "files": [
                {"path": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "how": "Ask me."}
                for file in files
            ],
        }  # fmt: skip
        (cards / "my_crowd.yaml").write_text(yaml.safe_dump(content))
        return main([*QUICK, "data=my_crowd", "store=results"])

    yield start
    ConfigStore.instance().repo["data"].pop("my_crowd.yaml", None)
    forget()


def walk(frames: int) -> list[Row]:
    """Two people who walk side by side at 1.25 m/s, each in every frame."""
    return [(10 * frame, person, 0.5 * frame, float(person)) for frame in range(frames) for person in (1, 2)]


def back_in_time(rows: list[Row]) -> list[Row]:
    return [*rows[:6], (15, 1, 1.0, 1.0), *rows[6:]]


def twice(rows: list[Row]) -> list[Row]:
    return [*rows[:4], rows[3], *rows[4:]]


def not_seen(rows: list[Row]) -> list[Row]:
    return [*rows[:4], (20, 1, "nan", 1.0), *rows[5:]]


def short(rows: list[Row]) -> list[Row]:
    return rows[:10]


def pixels(rows: list[Row]) -> list[Row]:
    return [(frame, person, 40 * x, 40 * y) for frame, person, x, y in rows]


MISTAKES = [
    (back_in_time, ", line 8: frame 15 comes after frame 20. Sort the rows by frame"),
    (twice, ", line 6: pedestrian 2 is in frame 10 twice (first in line 5). Keep one of the two"),
    (not_seen, ", line 6: x is nan. Leave out the rows of frames in which a pedestrian was not seen."),
]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [*MISTAKES, (short, "nobody is in all of the last 8 frames; pedestrian 1 (5 of 8), 2 (5 of 8)")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_file_with_a_mistake_is_not_answered(predict, capsys, spoil: Spoil, message: str) -> None:
    capsys.readouterr()
    assert predict(spoil(walk(8))) == 1
    said = one_paragraph(capsys)
    assert said.startswith("error: obs.csv")
    assert message in said
    assert sorted(path.name for path in Path().iterdir()) == ["obs.csv", "out.csv"]
    assert Path("out.csv").read_text() == "older"


def test_who_misses_a_frame_is_left_out_and_named(predict, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert predict([row for row in walk(8) if row[:2] != (30, 2)]) == 0
    assert [record.getMessage() for record in caplog.records] == [
        "obs.csv: no forecast for pedestrian 2 (7 of 8): not in all of the last 8 frames."
    ]
    assert {line.split(",")[0] for line in Path("out.csv").read_text().splitlines()[1:]} == {"1"}


def test_pixels_are_answered_with_a_warning(predict, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert predict(pixels(walk(8))) == 0
    (record,) = caplog.records
    assert record.getMessage().startswith("obs.csv: those who move do 50.0 m/s (median, 0.4 s a step)")
    assert "convert them to metres" in record.getMessage()
    assert len(Path("out.csv").read_text().splitlines()) == 1 + 2 * 12


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        *MISTAKES,
        (short, "has no window: 2 or more pedestrians in all of 20 frames on end. Its longest track has 5 positions"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_recording_with_a_mistake_starts_no_run(run, capsys, spoil: Spoil, message: str) -> None:
    assert run(spoil(walk(FRAMES))) == 1
    said = one_paragraph(capsys)
    assert "yard.csv" in said
    assert message in said
    assert [path for path in Path().rglob("*") if path.is_file()] == []


def test_a_recording_in_pixels_runs_with_a_warning(run, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert run(pixels(walk(FRAMES))) == 0
    (record,) = caplog.records
    assert "yard.csv: those who move do 50.0 m/s" in record.getMessage()
    assert "convert them to metres" in record.getMessage()


def one_paragraph(capsys: pytest.CaptureFixture[str]) -> str:
    """The error message, which is all that was said."""
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("error: ")
    return line


def write(path: Path, rows: list[Row]) -> None:
    lines = [",".join(map(str, row)) for row in [("frame", "pedestrian", "x", "y"), *rows]]
    path.write_text("\n".join(lines) + "\n")


def forget() -> None:
    """Empties what was remembered of the cards."""
    for cached in (catalogue.cards, catalogue.read_card, card.load_card):
        cached.cache_clear()
