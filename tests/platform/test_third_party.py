"""What CONTRIBUTING.md shows is written to files, installed and run as the text tells; mistakes in it are explained."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml
from hydra.core.config_store import ConfigStore

from benchmarks import plugins, registry
from benchmarks.__main__ import main
from benchmarks.ctr.metrics import METRICS
from benchmarks.ctr.task import CTR
from benchmarks.datasets import card
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.spec import RunSpec

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([\w./]+)`:?\n\n```\w+\n(.*?)```", TEXT, re.DOTALL))
CARD = next(block for block in re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL) if block.startswith("id: my_clicks"))
COMMANDS = re.findall(r"^(?:pip|python) .*$", TEXT, re.MULTILINE)
QUICK = [
    "scale=smoke", "data.rows=4000", "model.embedding_dim=8", "model.hidden_units=[32,32]", "trainer.max_epochs=1",
    "trainer.progress=false", "profile=none", "companions=false", "report=false",
]  # fmt: skip


def write(folder: Path, package: str) -> Path:
    """The example's files below a folder."""
    for path, content in FILES.items():
        if path.startswith(f"{package}/"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
    return folder / package


def forget() -> None:
    """Empties what was remembered of the installed packages."""
    for cached in (
        plugins._installed,
        registry.entries,
        registry._read_yaml,
        card.cards,
        card.read_card,
        card.load_card,
    ):
        cached.cache_clear()


@pytest.fixture(autouse=True)
def two_metrics(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ranking metrics of ctr are compiled on first use, which takes longer than all of these tests."""
    monkeypatch.setattr(CTR, "metrics", METRICS[:2])


Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Puts a package on the path with the metadata that pip would write, and takes all of it back afterwards."""
    RunSpec.of([])  # Hydra puts its own groups into the store at the first composition
    store = ConfigStore.instance()
    before, modules = deepcopy(store.repo), set(sys.modules)

    def put(folder: Path, entry_points: dict[str, dict[str, str]] | None = None) -> Path:
        declared = entry_points or tomllib.loads((folder / "pyproject.toml").read_text())["project"]["entry-points"]
        lines = [
            line
            for group, points in declared.items()
            for line in (f"[{group}]", *(f"{name} = {value}" for name, value in points.items()))
        ]
        information = folder / f"{folder.name}-0.1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {folder.name}\nVersion: 0.1\n")
        (information / "entry_points.txt").write_text("\n".join(lines) + "\n")
        monkeypatch.syspath_prepend(folder)
        forget()
        return folder

    monkeypatch.chdir(tmp_path)
    yield put
    monkeypatch.undo()
    forget()
    store.repo = before
    for name in set(sys.modules) - modules:
        if name.partition(".")[0] in ("my_methods", "my_tasks", "my_clicks", "shadow", "bare"):
            del sys.modules[name]


def test_the_text_shows_whole_packages() -> None:
    assert {path.partition("/")[0] for path in FILES} >= {"my_methods", "my_tasks"}
    assert "pip install ./my_methods" in COMMANDS
    assert "pip install ./my_tasks" in COMMANDS


def test_the_method_of_the_text_is_listed_and_runs(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(write(tmp_path, "my_methods"))
    assert main(["list"]) == 0
    assert "random_projection" in capsys.readouterr().out
    assert main(["task=ctr", "method=random_projection", "method.rank=4", *QUICK]) == 0
    assert {record.method for record in Store("results").records(status="ok")} == {"none", "random_projection"}


def test_a_typo_in_a_setting_of_a_third_party_method_is_answered(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(write(tmp_path, "my_methods"))
    assert main(["task=ctr", "method=random_projection", "method.rannk=4"]) == 1
    assert "Did you mean 'method.rank'?" in capsys.readouterr().err


def test_the_task_of_the_text_is_listed_and_runs_with_generic_methods(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(write(tmp_path, "my_tasks"))
    assert main(["list"]) == 0
    out = capsys.readouterr().out
    assert "task=line" in out
    assert "sim_line" in out
    options = ["trainer.progress=false", "profile=fast", "report=false"]
    assert main(["task=line", "method=none", *options]) == 0
    (record,) = Store("results").records()
    assert record.primary is not None
    assert (record.primary.metric, record.primary.n) == ("rmse", 50)
    assert 0.05 < (record.primary.value or 0) < 0.3  # the noise of the data is 0.1
    assert record.cost.params_total == 2
    assert main(["task=line", "method=continued", *options]) == 0
    assert main(["verify"]) == 0
    assert main(["rescore"]) == 0
    assert "0 changed" in capsys.readouterr().out


def test_a_method_that_does_not_fit_the_task_of_the_text_is_refused(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install(write(tmp_path, "my_tasks"))
    assert main(["task=line", "method=small_dim"]) == 1
    assert "small_dim" in capsys.readouterr().err
    assert main(["task=line", "data=ml_100k"]) == 1
    assert "ml_100k" in capsys.readouterr().err


def test_the_report_shows_a_third_party_task(install: Install, tmp_path: Path) -> None:
    install(write(tmp_path, "my_tasks"))
    assert main(["task=line", "method=none", "trainer.progress=false", "profile=none", "report=false"]) == 0
    assert main(["report", "--no-published"]) == 0
    assert "A line through noisy points" in (tmp_path / "report/index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("group", "name", "owner"),
    [("methods", "svd", "benchmarks.methods.svd"), ("tasks", "ctr", "benchmarks.ctr.task"), ("models", "lr", "lr")],
)
def test_a_name_that_is_taken_is_refused(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str], group: str, name: str, owner: str
) -> None:
    package = tmp_path / "shadow"
    package.mkdir()
    (package / "shadow.py").write_text("")
    (package / "shadow.yaml").write_text(f"name: {name}\n")
    install(package, {f"benchmarks.{group}": {name: "shadow"}})
    assert main(["list"]) == 1
    error = capsys.readouterr().err
    assert f"'{name}'" in error
    assert owner in error
    assert "Rename" in error


def test_a_missing_yaml_file_is_explained_with_its_path(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = write(tmp_path, "my_methods")
    missing = package / "my_methods/random_projection.yaml"
    missing.unlink()
    install(package)
    assert main(["list"]) == 1
    assert str(missing) in capsys.readouterr().err


def test_a_module_that_is_not_there_is_explained(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = tmp_path / "bare"
    package.mkdir()
    install(package, {"benchmarks.methods": {"bare": "bare_nowhere.method"}})
    assert main(["list"]) == 1
    assert "bare_nowhere" in capsys.readouterr().err


def test_a_yaml_file_of_another_name_is_explained(
    install: Install, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package = write(tmp_path, "my_methods")
    path = package / "my_methods/random_projection.yaml"
    path.write_text(path.read_text().replace("name: random_projection", "name: projection"))
    install(package)
    assert main(["task=ctr", "method=random_projection"]) == 1
    assert "name: random_projection" in capsys.readouterr().err


def test_the_card_of_the_text_is_a_valid_card() -> None:
    found = msgspec.convert(yaml.safe_load(CARD), card.DatasetCard)
    assert (found.id, found.task) == ("my_clicks", ["ctr"])


def write_clicks(folder: Path, cache: Path, content: bytes, checksum: str) -> Path:
    """The data set of the text as a package of its own, and its file in the cache."""
    (cache / "my_clicks").mkdir(parents=True)
    (cache / "my_clicks/clicks.csv").write_bytes(content)
    package = folder / "my_clicks"
    (package / "my_clicks/cards").mkdir(parents=True)
    (package / "my_clicks/__init__.py").write_text("")
    (package / "my_clicks/reader.py").write_text(FILES["datasets/readers/my_clicks.py"], encoding="utf-8")
    shown = CARD.replace("reader: my_clicks", "reader: my_clicks.reader").replace("123456", str(len(content)))
    by_hand = shown.replace("urls: [https://example.org/clicks.csv]", "how: ask the shop")
    (package / "my_clicks/cards/my_clicks.yaml").write_text(re.sub(r"sha256: .*", f"sha256: '{checksum}'", by_hand))
    return package


CARDS = {"benchmarks.datasets": {"my_clicks": "my_clicks.cards"}}


def test_the_data_set_of_the_text_is_read_and_used(install: Install, tmp_path: Path, data_cache: Path) -> None:
    random = np.random.default_rng(0)
    rows = [
        f"{random.integers(8)},{random.integers(20)},{random.integers(24)},{day},{random.integers(2)}"
        for day in range(1, 6)
        for _ in range(40)
    ]
    content = ("user,item,hour,day,click\n" + "\n".join(rows) + "\n").encode()
    install(write_clicks(tmp_path, data_cache, content, hashlib.sha256(content).hexdigest()), CARDS)
    (fold,) = open_bundle("my_clicks", progress=False).folds
    assert [len(split) for split in (fold.training.train, fold.training.val, fold.test)] == [120, 40, 40]
    assert fold.training.schema["fields"] == ["user", "item", "hour"]
    assert fold.test.columns["label"].tolist() == [float(row[-1]) for row in rows[160:]]
    assert main(["task=ctr", "data=my_clicks", "method=none", "scale=smoke", *QUICK[2:]]) == 0


def test_a_file_whose_checksum_is_wrong_is_refused_and_kept(install: Install, tmp_path: Path, data_cache: Path) -> None:
    install(write_clicks(tmp_path, data_cache, b"user,item\n", "f" * 64), CARDS)
    with pytest.raises(BenchmarkError, match=r"clicks\.csv"):
        open_bundle("my_clicks", progress=False)
    assert (data_cache / "my_clicks/clicks.csv").read_bytes() == b"user,item\n"


@pytest.mark.slow
def test_the_text_can_be_followed_to_the_letter(tmp_path: Path) -> None:
    site = tmp_path / "site"
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}"}

    def do(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for package in ("my_methods", "my_tasks"):
        write(tmp_path, package)
    typed = {command.split("   ")[0].strip() for command in COMMANDS}
    for command in sorted(typed & {"pip install ./my_methods", "pip install ./my_tasks"}):
        do(*command.split(), "--no-build-isolation", "--no-deps", "--no-index", "--target", str(site))
    listed = do("benchmarks", "list")
    assert "random_projection" in listed
    assert "task=line" in listed
    runs = [command.split()[2:] for command in COMMANDS if command.startswith("python -m benchmarks task=")]
    assert ["benchmarks", "task=ctr", "method=random_projection", "method.rank=8"] in runs
    assert ["benchmarks", "task=line", "method=none"] in runs
    for words in runs:
        do(*words, *(QUICK if "task=ctr" in words else []))
    assert {(record.task, record.method) for record in Store(tmp_path / "results").records(status="ok")} >= {
        ("ctr", "random_projection"),
        ("line", "none"),
    }
