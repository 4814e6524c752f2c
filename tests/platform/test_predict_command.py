"""`predict`: a column of answers beside a user's rows, and what is wrong with a file said before anything is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.__main__ import main
from benchmarks.datasets.open import open_bundle
from benchmarks.leaderboard.store import Store
from quick_runs import ALONE, FIELDS, QUICK, Refused, clicks

pytestmark = pytest.mark.usefixtures("quick", "folder")


@pytest.fixture
def asked(trained: Path, folder: Path, refused: Refused) -> Refused:
    """`predict` on a copy-free store, with a file of that content; it must be refused."""

    def run(header: str, *rows: str, output: str = "out.csv") -> str:
        clicks(folder / "in.csv", rows, header)
        return refused("predict", "latest", "in.csv", output, "--store", str(trained / "results"))

    return run


def predict(trained: Path, *words: str) -> int:
    return main(["predict", *words, "--store", str(trained / "results")])


def test_the_latest_run_is_the_one_that_was_typed_and_not_its_base(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*QUICK, *ALONE, "method=svd", "method.rank=4"]) == 0
    clicks(folder / "in.csv")
    capsys.readouterr()
    assert main(["predict", "latest", "in.csv", "out.csv"]) == 0
    assert "-svd-" in capsys.readouterr().out


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
    (folder / "photo.png").write_text("old")
    assert "is there and is no .csv" in asked(*row, output="photo.png")
    assert (folder / "photo.png").read_text() == "old"
    assert (folder / "file").read_text() == "old"


def test_a_failed_prediction_leaves_the_old_answer(asked: Refused, folder: Path) -> None:
    (folder / "out.csv").write_text("old")
    asked(",".join(FIELDS), "0,1,2,3,4,noon,1")
    assert (folder / "out.csv").read_text() == "old"


def test_an_unknown_run_is_refused_and_an_empty_store_too(trained: Path, folder: Path, refused: Refused) -> None:
    clicks(folder / "in.csv")
    assert "nope" in refused("predict", "nope", "in.csv", "out.csv", "--store", str(trained / "results"))
    assert "no finished run" in refused("predict", "latest", "in.csv", "out.csv")
