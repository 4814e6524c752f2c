"""The command line as a user meets it: exit codes, one paragraph an error, nothing half-written, the README's commands."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks import provenance, runner, scoring, trainer
from benchmarks.__main__ import COMMANDS, main
from benchmarks.commands import tune
from benchmarks.config import expand
from benchmarks.ctr import metrics as ctr_metrics
from benchmarks.ctr.task import CTR
from benchmarks.datasets.bundle import DataBundle, Fold, Split
from benchmarks.datasets.open import open_bundle
from benchmarks.errors import Misfit
from benchmarks.launchers import EXTRAS, _engine, launcher_of
from benchmarks.leaderboard.record import decode, encode
from benchmarks.leaderboard.store import Store
from benchmarks.leaderboard.worst import WORST, read_worst
from benchmarks.spec import RunSpec

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUICK = (
    "task=ctr", "scale=smoke", "data.rows=4000", "model.embedding_dim=4", "model.hidden_units=[32,32]",
    "trainer.batch_size=1024", "trainer.max_epochs=1", "finetune.max_epochs=1", "trainer.progress=false",
    "trainer.accelerator=cpu", "trainer.threads=1", "profile=none",
)  # fmt: skip
ALONE = ("companions=false", "report=false")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Two metrics and few resamples: the others and their intervals have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CTR, "metrics", ctr_metrics.METRICS[:2])
        patch.setattr(ctr_metrics, "METRICS", ctr_metrics.METRICS[:2])
        patch.setattr(scoring, "RESAMPLES", 20)
        patch.setattr(provenance, "_git", lambda: (None, None, None))
        yield


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


Refused = Callable[..., str]


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], folder: Path) -> Refused:
    """Runs a command line that must end in one paragraph, with nothing on the disk that was not there before."""

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
    titles: list[str] = []
    real = trainer.fit

    def counted(*arguments, title: str, **options):
        titles.append(title)
        return real(*arguments, title=title, **options)

    monkeypatch.setattr(trainer, "fit", counted)
    return titles


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "task=ctr method=svd" in out
    assert all(command in out for command in COMMANDS)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from benchmarks import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == __version__


@pytest.mark.parametrize(("typed", "nearest"), [("lst", "list"), ("reprot", "report"), ("verfy", "verify")])
def test_an_unknown_command_is_answered_with_the_nearest(typed: str, nearest: str, refused: Refused) -> None:
    assert f"Did you mean '{nearest}'?" in refused(typed)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["method.rank=0"], "method.rank=0"),
        (["method.rank=-3"], "method.rank=-3"),
        (["method.rank=abc"], "method.rank=abc"),
        (["method.rank=10000"], "largest rank that pays"),
        (["method.rank=null"], "rank, energy and budget"),
        (["method.energy=2", "method.rank=null"], "method.energy=2"),
        (["method.budget=0.0001", "method.rank=null"], "budget"),
        (["method.targets=[linar]"], "method.targets"),
        (["method.inner_activation=tanh"], "method.inner_activation=tanh"),
        (["method=afm", "method.calibration_samples=0"], "method.calibration_samples=0"),
        (["method=small_dim", "method.match_rank=10000"], "largest rank that pays"),
        (["method=svdd"], "Did you mean 'svd'?"),
        (["data=nope"], "sim_clicks"),
        (["seed=abc"], "seed=abc"),
        (["data.rows=5"], "data.rows"),
        (["data.rows=many"], "data.rows"),
        (["weights=published"], "weights=published"),
        (["weights=nowhere.safetensors"], "weights=nowhere.safetensors"),
        (["model.dropout=1.5", "method=none"], "Dropout of 1.5"),
        (["model.hidden_units=[-1]", "method=none"], "hidden_units"),
        (["seed=0,1"], "-m seed=0,1"),
        (["--nonsense"], "key=value"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_answered_before_any_training(
    words: list[str], what: str, refused: Refused, fits: list[str]
) -> None:
    chosen = {word.partition("=")[0] for word in words}
    error = refused(*(word for word in QUICK if word.partition("=")[0] not in chosen), *words)
    assert what in error
    assert "None" not in error
    assert fits == []


def test_a_mistake_in_the_last_point_of_a_sweep_costs_nothing(refused: Refused, fits: list[str]) -> None:
    assert "Did you mean 'svd'?" in refused("-m", *QUICK, "method=none,svd,svdd")
    assert fits == []


def test_several_devices_in_a_sweep_are_refused(refused: Refused) -> None:
    error = refused("-m", *QUICK, "trainer.devices=2", "seed=0,1")
    assert "trainer.devices=2" in error
    assert "seed=0" in error


def test_a_store_below_a_file_is_one_clear_error(folder: Path, refused: Refused, fits: list[str]) -> None:
    (folder / "file").write_text("")
    assert "file" in refused(*QUICK, *ALONE, "method=none", "store=file")
    assert "file/below" in refused(*QUICK, *ALONE, "method=none", "store=file/below")
    assert fits == []


def test_a_record_that_cannot_be_read_is_one_clear_error(folder: Path, refused: Refused) -> None:
    damaged = folder / "results/ctr/run-1/record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    for words in (
        (*QUICK, *ALONE, "method=none"),
        ("predict", "latest", "here.csv", "out.csv"),
        ("rescore",),
    ):
        (folder / "here.csv").write_text("a\n1\n")
        assert "record.json" in refused(*words)
    assert main(["verify"]) == 1


def test_a_report_is_built_beside_a_record_that_cannot_be_read_and_names_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = folder / "results/ctr/run-1/record.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    assert main(["report"]) == 1
    assert "record.json" in capsys.readouterr().err
    assert (folder / "report/index.html").is_file()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, quick: None) -> Path:
    """A store with an SVD run, its companions, and a report."""
    work = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        assert main([*QUICK, "method=svd", "method.rank=4"]) == 0
    return work


def test_a_run_shows_its_companions_and_brings_the_report_up_to_date(trained: Path) -> None:
    records = list(Store(trained / "results").records())
    assert sorted((record.method, record.model) for record in records) == [
        ("continued", "deepfm"), ("none", "deepfm"), ("none", "lr"), ("svd", "deepfm"),
    ]  # fmt: skip
    assert {record.status for record in records} == {"ok"}
    assert (trained / "report/index.html").is_file()


def test_the_same_command_shows_the_same_table_without_training(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fits: list[str]
) -> None:
    monkeypatch.chdir(trained)
    assert main([*QUICK, "method=svd", "method.rank=4", "report=false"]) == 0
    output = capsys.readouterr()
    assert "in the store already" in output.err
    for row in ("base", "control", "floor", "this run"):
        assert row in output.out
    assert "record.json" in output.out
    assert fits == []


def test_the_latest_run_is_the_one_that_was_typed_and_not_its_base(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, *ALONE, "method=svd", "method.rank=4"]) == 0
    clicks(folder / "in.csv")
    capsys.readouterr()
    assert main(["predict", "latest", "in.csv", "out.csv"]) == 0
    assert "-svd-" in capsys.readouterr().out


FIELDS = ["user_id", "item_id", "region", "category", "device", "hour", "position"]


def clicks(path: Path, rows: tuple[str, ...] = ("0,1,2,3,4,5,1",), header: str = ",".join(FIELDS)) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def asked(trained: Path, folder: Path, refused: Refused) -> Refused:
    """`predict` on a copy-free store, with a file of that content; it must be refused."""

    def run(header: str, *rows: str, output: str = "out.csv") -> str:
        clicks(folder / "in.csv", rows, header)
        return refused("predict", "latest", "in.csv", output, "--store", str(trained / "results"))

    return run


def predict(trained: Path, *words: str) -> int:
    return main(["predict", *words, "--store", str(trained / "results")])


def test_predict_adds_a_column_to_the_rows_as_they_were(trained: Path, folder: Path) -> None:
    clicks(folder / "in.csv", ("0,1,2,3,4,5,1", "never,seen,before,3,4,05,1"))
    assert predict(trained, "latest", "in.csv", "out.csv") == 0
    header, *rows = (folder / "out.csv").read_text().splitlines()
    assert header == ",".join([*FIELDS, "prediction"])
    assert [row.rpartition(",")[0] for row in rows] == ["0,1,2,3,4,5,1", "never,seen,before,3,4,05,1"]
    assert all(0 < float(row.rpartition(",")[2]) < 1 for row in rows)
    assert sorted(path.name for path in folder.iterdir()) == ["in.csv", "out.csv"]


def test_predict_takes_columns_by_name(trained: Path, folder: Path) -> None:
    clicks(folder / "one.csv")
    clicks(
        folder / "two.csv", ("1,5,4,3,x,2,1,0",), ",".join([*FIELDS[:0:-1][:4], "extra", *FIELDS[2:0:-1], "user_id"])
    )
    assert predict(trained, "latest", "one.csv", "one.out") == predict(trained, "latest", "two.csv", "two.out") == 0
    one, two = ((folder / f"{name}.out").read_text().rpartition(",")[2] for name in ("one", "two"))
    assert one == two


def test_predict_takes_the_folder_of_a_run_and_its_id(trained: Path, folder: Path) -> None:
    clicks(folder / "in.csv")
    record = next(Store(trained / "results").records(status="ok"))
    assert predict(trained, record.run_id, "in.csv", "by_id.csv") == 0
    assert predict(trained, str(trained / "results/ctr" / record.run_id), "in.csv", "by_path.csv") == 0
    assert (folder / "by_id.csv").read_bytes() == (folder / "by_path.csv").read_bytes()


def test_predict_answers_what_the_evaluation_answered(trained: Path, folder: Path) -> None:
    """The first rows of the test split, written as a file with the tokens of the vocabulary."""
    (fold,) = open_bundle("sim_clicks", {"rows": 4000}, progress=False).folds
    vocabulary = fold.training.schema["vocabulary"]
    ids = fold.test.columns["ids"][:20]
    rows = tuple(
        ",".join(vocabulary[name][number - 1] if number else "unseen" for name, number in zip(FIELDS, row, strict=True))
        for row in ids
    )
    clicks(folder / "in.csv", rows)
    record = next(run for run in Store(trained / "results").records() if run.method == "svd")
    assert predict(trained, record.run_id, "in.csv", "out.csv") == 0
    with np.load(Store(trained / "results").folder(record.run_id) / "predictions.npz") as kept:
        expected = kept["prediction"][:20]
    found = [float(line.rpartition(",")[2]) for line in (folder / "out.csv").read_text().splitlines()[1:]]
    assert found == pytest.approx(expected, abs=1e-6)


def test_a_missing_column_is_named_with_those_that_are_there(asked: Refused) -> None:
    error = asked(",".join(FIELDS[1:]), "1,2,3,4,5,1")
    assert "user_id" in error
    assert "item_id, region" in error


def test_a_string_in_a_numeric_column_is_named_with_its_place(asked: Refused) -> None:
    error = asked(",".join(FIELDS), "0,1,2,3,4,5,1", "0,1,2,3,4,noon,1")
    assert "'noon'" in error
    assert "hour" in error
    assert "2" in error


def test_a_row_of_another_length_is_named_with_its_line(asked: Refused) -> None:
    assert "line 2" in asked(",".join(FIELDS), "0,1,2")


def test_a_file_with_a_header_alone_is_refused(asked: Refused) -> None:
    assert "no rows" in asked(",".join(FIELDS))


def test_an_empty_file_is_refused(trained: Path, folder: Path, refused: Refused) -> None:
    (folder / "in.csv").write_bytes(b"")
    assert "user_id" in refused("predict", "latest", "in.csv", "out.csv", "--store", str(trained / "results"))


def test_a_file_that_is_no_text_is_refused(trained: Path, folder: Path, refused: Refused) -> None:
    (folder / "in.csv").write_bytes(bytes(range(256)))
    assert "in.csv" in refused("predict", "latest", "in.csv", "out.csv", "--store", str(trained / "results"))


def test_a_missing_input_or_output_folder_is_refused(asked: Refused, refused: Refused, folder: Path) -> None:
    assert "there.csv" in refused("predict", "latest", "there.csv", "out.csv")
    assert "nowhere" in asked(",".join(FIELDS), "0,1,2,3,4,5,1", output="nowhere/out.csv")


def test_answers_in_a_folder_are_named_like_the_input(trained: Path, folder: Path) -> None:
    clicks(folder / "in.csv")
    assert predict(trained, "latest", "in.csv", "out.csv") == predict(trained, "latest", "in.csv", "new/") == 0
    (folder / "there").mkdir()
    assert predict(trained, "latest", "in.csv", "there") == 0
    written = [(folder / name).read_text() for name in ("out.csv", "new/in.csv", "there/in.csv")]
    assert written[0] == written[1] == written[2]
    assert sorted(path.name for path in (folder / "new").iterdir()) == ["in.csv"]


def test_an_answer_never_replaces_a_folder_or_its_question(asked: Refused, folder: Path) -> None:
    row = (",".join(FIELDS), "0,1,2,3,4,5,1")
    (folder / "taken/in.csv").mkdir(parents=True)
    assert "is a folder" in asked(*row, output="taken")
    assert "is the input itself" in asked(*row, output=".")
    assert "is the input itself" in asked(*row, output="in.csv")
    (folder / "file").write_text("old")
    assert "is a file and no folder" in asked(*row, output="file/")
    assert (folder / "file").read_text() == "old"


def test_a_failed_prediction_leaves_the_old_answer(asked: Refused, folder: Path) -> None:
    (folder / "out.csv").write_text("old")
    asked(",".join(FIELDS), "0,1,2,3,4,noon,1")
    assert (folder / "out.csv").read_text() == "old"


def test_an_unknown_run_is_refused_and_an_empty_store_too(trained: Path, folder: Path, refused: Refused) -> None:
    clicks(folder / "in.csv")
    assert "nope" in refused("predict", "nope", "in.csv", "out.csv", "--store", str(trained / "results"))
    assert "no finished run" in refused("predict", "latest", "in.csv", "out.csv")


def test_a_test_split_without_clicks_has_no_auc_and_says_why(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = open_bundle("sim_clicks", {"rows": 4000}, progress=False)
    (fold,) = bundle.folds
    columns = {**fold.test.columns, "label": np.zeros_like(fold.test.columns["label"])}
    silent = Fold(fold.name, fold.training, Split(columns, fold.test.ids, fold.test.units))
    monkeypatch.setattr(CTR, "data", lambda *_: DataBundle(bundle.id, bundle.fingerprint, (silent,)))
    monkeypatch.setattr(runner, "_BUNDLES", {})
    assert main([*QUICK, "method=svd", "method.rank=4"]) == 0
    assert "this run" in capsys.readouterr().out
    for record in Store("results").records():
        assert record.status == "ok"
        assert record.primary is not None
        assert record.primary.value is None
        assert record.primary.ci_low is None
        assert "class" in (record.primary.reason or "")
        assert record.value("logloss") is not None
    assert (folder / "report/index.html").is_file()
    assert main(["report"]) == 0
    assert main(["verify"]) == 0
    assert main(["rescore"]) == 0


def test_a_validation_split_without_clicks_still_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = open_bundle("sim_clicks", {"rows": 4000}, progress=False)
    (fold,) = bundle.folds
    columns = {**fold.training.val.columns, "label": np.zeros(len(fold.training.val), np.float32)}
    val = Split(columns, fold.training.val.ids, fold.training.val.units)
    training = type(fold.training)(fold.training.train, val, fold.training.schema)
    monkeypatch.setattr(
        CTR, "data", lambda *_: DataBundle(bundle.id, bundle.fingerprint, (Fold(fold.name, training, fold.test),))
    )
    monkeypatch.setattr(runner, "_BUNDLES", {})
    assert main([*QUICK, *ALONE, "method=none"]) == 0


def test_a_failing_run_exits_with_1_and_names_its_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "evaluate", lambda *_: 1 / 0)
    assert main([*QUICK, *ALONE, "method=none"]) == 1
    error = capsys.readouterr().err
    assert "ZeroDivisionError" in error
    assert "'evaluate'" in error
    (record,) = Store("results").records()
    assert record.run_id in error


def test_a_base_that_fails_is_tried_once(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    tried: list[str] = []

    def diverge(network: object, task: object, data: object, plan: object, **rest: object) -> None:
        tried.append(str(rest["title"]))
        raise ArithmeticError("the loss is NaN")

    monkeypatch.setattr(trainer, "fit", diverge)
    assert main([*QUICK, "report=false", "method=svd", "method.rank=4"]) == 1
    assert tried == ["train none (deepfm, seed 0)", "train none (lr, seed 0)"]
    assert capsys.readouterr().err.count("because its base failed") == 2
    assert [record.status for record in Store("results").records()] == ["failed", "failed"]


def test_a_sweep_leaves_out_what_does_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-m", *QUICK, *ALONE, "method=none,stay"]) == 0
    assert "skipped: " in (shown := capsys.readouterr().out)
    assert "'stay' is made for trajectory" in shown
    assert [record.method for record in Store("results").records()] == ["none"]


def test_a_sweep_in_which_nothing_fits_is_refused(refused: Refused) -> None:
    assert "'stay' is made for trajectory" in refused("-m", *QUICK, "method=stay,kalman")


def test_verify_and_rescore_find_a_sound_store(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "--store", str(trained / "results")]) == 0
    assert "0 problems" in capsys.readouterr().out
    assert main(["rescore", "--store", str(trained / "results")]) == 0
    assert "0 changed" in capsys.readouterr().out


def test_rescore_brings_a_record_of_an_older_suite_up_to_date(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Such a record names no worst units and no bounds; its figures stay."""
    shutil.copytree(trained / "results", tmp_path / "old")
    for path in (tmp_path / "old").glob("ctr/*/record.json"):
        record = decode(path.read_bytes())
        (path.parent / WORST).unlink()
        quality = [msgspec.structs.replace(row, bounds=None, perfect=None) for row in record.quality]
        files = [file for file in record.files if file.name != WORST]
        path.write_bytes(encode(msgspec.structs.replace(record, quality=quality, files=files)))
    store = Store(tmp_path / "old")
    before = {record.key: record for record in store.records()}
    assert main(["rescore", "--store", store.root]) == 0
    out = capsys.readouterr().out
    assert f"{len(before)} runs scored, {len(before)} changed" in out
    assert "worst units are new" in out
    for old in before.values():
        new = store.find(old.key)
        assert new is not None
        assert new.run_id != old.run_id
        assert [row.value for row in new.quality] == [row.value for row in old.quality]
        assert (new.quality[0].bounds, new.quality[0].perfect) == ((0.0, 1.0), 1.0)
        worst = read_worst(store, new)
        assert worst is not None
        assert (worst.metric, len(worst.worst), worst.single) == ("auc", 8, False)
    assert main(["verify", "--store", store.root]) == 0
    assert main(["rescore", "--store", store.root]) == 0
    assert "0 changed" in capsys.readouterr().out


def readme_commands() -> list[list[str]]:
    """Those of the section of commands, and every run that the README shows elsewhere."""
    block = re.search(r"## Commands\n\n```bash\n(.*?)```", README, re.DOTALL)
    assert block is not None
    runs = [line for line in re.findall(r"^python -m benchmarks .*", README, re.MULTILINE) if "=" in line]
    lines = dict.fromkeys([*block[1].splitlines(), *runs])
    return [shlex.split(line, comments=True)[3:] for line in lines]


def points(words: list[str]) -> list[list[str]]:
    """The runs that a command makes, or of many of them a dozen."""
    typed = [word for word in words if "=" in word and not word.startswith("hydra")]
    if words[0] == "tune":
        space = tune._space(typed)
        assert tune._searching(tune._parser().parse_known_args(words[1:])[0], space) == ("--search" in words)
        fixed = [word for word in typed if word.partition("=")[0] not in space]
        return [[*fixed, *point] for point in tune._corners(space)]
    found = expand(typed) if words[0] in ("-m", "plan") else [typed]
    return found[:: max(1, len(found) // 12)]


@pytest.mark.parametrize("words", readme_commands(), ids=" ".join)
def test_the_readmes_commands_are_understood(words: list[str], trained: Path, folder: Path) -> None:
    if any("=" in word for word in words):
        fits = []
        for point in points(words):
            try:
                spec = RunSpec.of(point)
            except Misfit:
                continue
            fits.append(point)
            assert f"task={spec.task}" == point[0] or point[0].startswith("experiment=")
        assert fits
        return
    for store in ("results", "before"):
        shutil.copytree(trained / "results", folder / store)
    clicks(folder / "clicks.csv")
    assert main(words) == 0


@pytest.mark.parametrize(
    "words", [words for words in readme_commands() if any("launcher" in word for word in words)], ids=" ".join
)
def test_the_readmes_launchers_take_their_settings(words: list[str], folder: Path) -> None:
    launching = [word for word in words if word.startswith("hydra")]
    name = launching[0].partition("=")[2]
    if find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.hydra_{EXTRAS[name]}_launcher") is None:
        pytest.skip(f"the extra `{EXTRAS[name]}` is not installed")
    assert launcher_of(launching) == name
    with _engine(name, len, launching, folder, 3) as launcher:
        assert type(launcher).__module__.split(".")[1] == f"hydra_{EXTRAS[name]}_launcher"
        given = {
            word.partition("=")[0].removeprefix("hydra.launcher."): word.partition("=")[2] for word in launching[1:]
        }
        assert {key: str(launcher.params[key]) for key in given} == given


def test_the_readme_shows_every_command() -> None:
    shown = {words[0] for words in readme_commands()}
    assert shown >= set(COMMANDS) - {"publish", "retime"}
    assert "python -m benchmarks retime BASE HEAD" in README


@pytest.mark.slow
def test_a_sweep_runs_every_point_and_trains_each_base_once(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "benchmarks", "-m", *QUICK, *ALONE, "method=svd", "method.rank=4,8", "seed=0,1"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    runs = [(record.method, record.seed) for record in Store(folder / "results").records(status="ok")]
    assert sorted(runs) == [("none", 0), ("none", 1), ("svd", 0), ("svd", 0), ("svd", 1), ("svd", 1)]
    assert sorted(path.name for path in folder.iterdir()) == ["results"]


@pytest.mark.parametrize(
    "words", [["--cfg", "job", "scale=smoke", "seed=3"], ["scale=smoke", "seed=3", "--cfg", "job"]]
)
def test_flags_of_hydra_may_stand_before_or_behind_the_settings(words, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    shown = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert shown.returncode == 0, shown.stderr
    assert "seed: 3" in shown.stdout
    assert not list(here.iterdir())
