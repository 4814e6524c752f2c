"""Click logs by options alone: the layouts of BARS and of the competitions, and what is wrong with a file of one's own."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from benchmarks.datasets import cache
from benchmarks.datasets.card import load_card
from benchmarks.datasets.open import open_bundle
from benchmarks.datasets.readers import clicks
from benchmarks.errors import BenchmarkError

CRITEO = ["Label", *(f"I{n}" for n in range(1, 14)), *(f"C{n}" for n in range(1, 27))]
AVAZU = ["id", "click", *load_card("avazu_kaggle").options["fields"].split(", ")]


def criteo_row(random: np.random.Generator, label: int) -> list[str]:
    numbers = ["" if random.random() < 0.2 else str(random.integers(-1, 5000)) for _ in range(13)]
    return [str(label), *numbers, *(f"{random.zipf(1.5) % 50:08x}" for _ in range(26))]


def avazu_row(random: np.random.Generator, label: int) -> list[str]:
    time = f"1410{random.integers(21, 31)}{random.integers(24):02d}"
    return [str(random.integers(2**60)), str(label), time, *(f"{random.zipf(1.5) % 50:08x}" for _ in AVAZU[3:])]


def lines(make, rows: int, separator: str = ",", seed: int = 0) -> str:
    random = np.random.default_rng(seed)
    return "".join(separator.join(make(random, int(place % 4 == 0))) + "\n" for place in range(rows))


def splits(fold):
    return {"train": fold.training.train, "val": fold.training.val, "test": fold.test}


def of_card(card_id: str, folder: Path, contents: dict[str, bytes], **options):
    """The fold of small files in the layout of a card, read with its options."""
    folder.mkdir()
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    card = load_card(card_id)
    files = {file.path: folder / file.path for file in card.files}
    return clicks.read(files, folder / "store", **card.resolve(options))[0]


@pytest.mark.parametrize("setting", ["001", "002"])
def test_criteo_in_the_layout_of_bars(tmp_path, setting):
    header = ",".join(CRITEO) + "\n"
    parts = {"train.csv": 300, "valid.csv": 40, "test.csv": 30}
    contents = {
        name: (header + lines(criteo_row, rows, seed=seed)).encode() for seed, (name, rows) in enumerate(parts.items())
    }
    fold = of_card(f"criteo_x4_{setting}", tmp_path / "x4", contents)
    assert [len(split) for split in splits(fold).values()] == [300, 40, 30]
    assert fold.training.schema["fields"] == CRITEO[1:]
    assert "" not in fold.training.schema["vocabulary"]["I1"]  # a missing number counts as 0
    assert "0" in fold.training.schema["vocabulary"]["I1"]
    least = {"001": 10, "002": 2}[setting]
    assert all((counts[1:] >= least).all() for counts in fold.training.schema["counts"].values())


def test_avazu_in_the_layout_of_bars(tmp_path):
    header = ",".join(AVAZU) + "\n"
    contents = {f"{name}.csv": (header + lines(avazu_row, 50)).encode() for name in ("train", "valid", "test")}
    fold = of_card("avazu_x4_001", tmp_path / "x4", contents)
    schema = fold.training.schema
    assert len(schema["fields"]) == 24
    assert schema["fields"][0] == "hour"
    assert schema["fields"][-2:] == ["weekday", "weekend"]
    assert "id" not in schema["fields"]
    assert set(schema["vocabulary"]["hour"]) <= {str(hour) for hour in range(24)}
    assert set(schema["vocabulary"]["weekday"]) <= set("0123456")


def test_frappe_and_movielens_in_the_layout_of_bars(tmp_path):
    for card_id, header in (
        ("frappe_x1", "label,user,item,city"),
        ("movielenslatest_x1", "label,user_id,item_id,tag_id"),
    ):
        text = header + "\n" + "".join(f"{place % 2},{place % 7},{place % 5},3\n" for place in range(30))
        contents = {f"{name}.csv": text.encode() for name in ("train", "valid", "test")}
        fold = of_card(card_id, tmp_path / card_id, contents)
        assert fold.training.schema["user_field"] == header.split(",")[1]
        assert len(np.unique(fold.test.units)) == 7


def test_the_raw_file_of_criteo_is_split_at_random_by_a_seed(tmp_path):
    text = lines(criteo_row, 1000, "\t").encode()
    fold = of_card("criteo_kaggle", tmp_path / "a", {"train.txt": text})
    parts = splits(fold)
    assert sorted(np.concatenate([split.ids for split in parts.values()])) == list(range(1000))
    assert 760 < len(parts["train"]) < 840
    assert min(len(parts["val"]), len(parts["test"])) > 60
    labels = np.array([float(line[:1]) for line in text.decode().splitlines()])
    assert all(np.array_equal(split.columns["label"], labels[split.ids]) for split in parts.values())
    again = splits(of_card("criteo_kaggle", tmp_path / "b", {"train.txt": text}))
    other = splits(of_card("criteo_kaggle", tmp_path / "c", {"train.txt": text}, seed=1))
    assert np.array_equal(again["test"].ids, parts["test"].ids)
    assert not np.array_equal(other["test"].ids, parts["test"].ids)


def test_the_random_split_does_not_depend_on_the_size_of_blocks(tmp_path, monkeypatch):
    text = lines(criteo_row, 300, "\t").encode()
    one = splits(of_card("criteo_kaggle", tmp_path / "a", {"train.txt": text}))
    monkeypatch.setattr("benchmarks.datasets.readers.click_text.BLOCK", 4096)
    other = splits(of_card("criteo_kaggle", tmp_path / "b", {"train.txt": text}))
    assert all(np.array_equal(one[part].columns["ids"], other[part].columns["ids"]) for part in one)


def test_the_raw_file_of_avazu_is_read_packed(tmp_path):
    text = (",".join(AVAZU) + "\n" + lines(avazu_row, 400)).encode()
    fold = of_card("avazu_kaggle", tmp_path / "a", {"train.gz": gzip.compress(text)})
    assert sum(len(split) for split in splits(fold).values()) == 400


GOOD = "click,user,item\n" + "".join(f"{place % 2},u{place % 5},i{place % 3}\n" for place in range(30))


def own(folder: Path, store: Path | None = None, **contents: str | bytes):
    """The fold of a small log of one's own; `contents` replace good files."""
    files = {}
    for name in ("train", "valid", "test"):
        content = contents.get(name, GOOD)
        files[f"{name}.csv"] = folder / f"{name}.csv"
        files[f"{name}.csv"].write_bytes(content if isinstance(content, bytes) else content.encode())
    return clicks.read(files, store or folder / "built" / "key", label="click", user="user", item="item")[0]


CUT = gzip.compress("".join([GOOD[:16], *(f"1,{place * 7919 % 10007},{place}\n" for place in range(9000))]).encode())


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (
            {"test": GOOD.replace("item", "thing")},
            r"test\.csv lacks the column item\. Given: click, user, thing\. Required",
        ),
        ({"train": GOOD.replace("click,", "label,")}, r"train\.csv lacks the column click"),
        ({"train": CUT[: len(CUT) // 2]}, r"train\.csv cannot be read after row \d+: .*[Tt]runcated"),
        ({"test": CUT[:200]}, r"test\.csv cannot be read"),
        ({"train": GOOD + "2,u1,i1\n"}, r"train\.csv, row 32: column 'click' holds '2'\. A label is 0 or 1"),
        ({"valid": GOOD + "yes,u1,i1\n"}, r"valid\.csv, row 32: column 'click' holds 'yes'"),
        ({"train": ""}, r"train\.csv is empty"),
        ({"test": ""}, r"test\.csv is empty"),
        ({"valid": "click,user,item\n"}, r"valid\.csv holds no rows under its header"),
        ({"train": GOOD + "1,u1\n"}, r"train\.csv, row 32: 2 values, where 3 columns belong. The row begins '1,u1'"),
        ({"test": GOOD + "1,u1,i1,more\n"}, r"test\.csv, row 32: 4 values, where 3 columns belong"),
        (
            {"train": GOOD.replace("\n1,", "\n0,")},
            r"train\.csv: all 30 rows of train have the label 0 in column 'click'",
        ),
        ({"train": GOOD.encode() + b"1,\xff,i1\n"}, r"train\.csv cannot be read after row .*UTF8"),
        ({"train": "click,user,item,user\n1,2,3,4\n"}, r"train\.csv names the column user twice"),
    ],
)
def test_a_wrong_file_is_named_and_nothing_is_left_half_built(tmp_path, contents, message):
    with pytest.raises(BenchmarkError, match=message):
        own(tmp_path, **contents)
    assert {path.suffix for path in (tmp_path / "built").glob("*")} <= {".lock"}


def test_a_test_file_of_unknown_values_alone_is_read_as_out_of_vocabulary(tmp_path, caplog):
    fold = own(tmp_path, test="click,user,item\n1,new,x\n0,newer,y\n0,new,z\n")
    assert not fold.test.columns["ids"].any()
    assert len(np.unique(fold.test.units)) == 2
    assert "No value of user, item in test is in the vocabulary of train" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"user": "person"}, "The user field 'person' is none of the fields: user, item"),
        ({"numeric": "price"}, "The numeric field 'price' is none of the fields"),
        ({"fields": "user, click"}, "'click' is a field twice, or the label too"),
        ({"calendar": "time"}, "Unknown field for calendar: 'time'"),
        ({"min_count": 0}, "min_count is 0; it must be at least 1"),
        ({"val": ""}, "names files for train, test. Name files for train, val and test"),
        ({"train": "trian.csv"}, "Unknown file of the data set: 'trian.csv'. Did you mean 'train.csv'"),
        ({"separator": ", "}, "must be one character"),
    ],
)
def test_a_wrong_option_is_answered_before_anything_is_read(tmp_path, options, message):
    files = {f"{name}.csv": tmp_path / f"{name}.csv" for name in ("train", "valid", "test")}
    for path in files.values():
        path.write_text(GOOD)
    with pytest.raises(BenchmarkError, match=message):
        clicks.read(files, tmp_path / "built" / "key", **{"label": "click"} | options)
    assert not (tmp_path / "built").exists()


def test_the_first_rows_of_criteo(mirror, data_cache):
    bundle = open_bundle("criteo_sample", progress=False)
    (fold,) = bundle.folds
    assert [len(split) for split in splits(fold).values()] == [7_200, 409, 391]
    assert int(fold.training.train.columns["label"].sum()) == 1_549
    assert fold.training.schema["fields"] == CRITEO[1:]
    assert any("sample" in note for note in bundle.notes)
    assert (data_cache / "criteo_sample" / ".built" / bundle.fingerprint / "manifest.json").is_file()
    first = (mirror / "criteo_sample" / "lapis_test.csv").read_text().split("\n")[0].split("\t")
    vocabulary, ids = fold.training.schema["vocabulary"], fold.test.columns["ids"][0]
    for position, name in enumerate(CRITEO[14:], start=13):
        assert ids[position] == 0 or vocabulary[name][ids[position] - 1] == first[position + 1]


def test_open_bandit_has_rare_clicks_in_every_part(mirror, tmp_path):
    card = load_card("open_bandit")
    files = {file.path: mirror / "open_bandit" / f"{file.path}.gz" for file in card.files}
    (fold,) = clicks.read(files, tmp_path / "store", **card.resolve({}))
    parts = splits(fold)
    assert sum(len(split) for split in parts.values()) == 20_000
    clicked = [int(split.columns["label"].sum()) for split in parts.values()]
    assert sum(clicked) == 80
    assert min(clicked) >= 5
    assert fold.training.schema["cardinalities"][:2] == [81, 4]


def test_open_bandit_comes_out_of_its_wheel(data_cache):
    try:
        bundle = open_bundle("open_bandit", progress=False)
    except BenchmarkError as error:
        pytest.skip(f"the obp wheel cannot be had: {error}")
    assert len(bundle.folds[0].training.train) == 15_930


def test_files_that_may_not_be_redistributed_are_asked_for_by_their_page(data_cache):
    for card_id, page in (
        ("criteo_x4_001", "huggingface.co/datasets/reczoo/Criteo_x4"),
        ("avazu_kaggle", "kaggle.com/c/avazu"),
    ):
        with pytest.raises(BenchmarkError, match=page):
            cache.fetch(load_card(card_id))
