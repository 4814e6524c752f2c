"""Vocabularies: fitted ids, unknown tokens, and the mistakes of a person's own table."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.datasets.readers.click_fields import Vocabulary, read_csv
from benchmarks.errors import BenchmarkError

COLUMNS = {"user": ["u10", "u9", "u9"], "hour": ["7", "10", "7"]}


def test_tokens_are_numbered_from_one_in_the_order_of_strings():
    vocabulary = Vocabulary.fit(COLUMNS)
    assert vocabulary.tokens == {"user": ["u10", "u9"], "hour": ["10", "7"]}
    assert vocabulary.cardinalities == [3, 3]
    ids = vocabulary.encode(COLUMNS)
    assert ids.dtype == np.int32
    assert ids.flags.c_contiguous
    assert ids.tolist() == [[1, 2], [2, 1], [2, 2]]


def test_unknown_tokens_get_id_zero():
    assert Vocabulary.fit(COLUMNS).encode({"user": ["u11", "u9"], "hour": ["10", ""]}).tolist() == [[0, 1], [2, 0]]


def test_spellings_of_one_number_are_one_token():
    vocabulary = Vocabulary.fit(COLUMNS, numeric=["hour"])
    assert vocabulary.encode({"user": ["u9"] * 3, "hour": ["07", "7.0", " 7"]}).tolist() == [[2, 2]] * 3


def test_columns_that_are_no_field_are_ignored_and_order_does_not_matter():
    vocabulary = Vocabulary.fit(COLUMNS)
    assert np.array_equal(
        vocabulary.encode(dict(reversed(COLUMNS.items())) | {"x": [1, 2, 3]}), vocabulary.encode(COLUMNS)
    )


def test_a_missing_column_is_named_with_those_given_and_required():
    with pytest.raises(BenchmarkError, match=r"lacks the column hour\. Given: user, day\. Required: user, hour\."):
        Vocabulary.fit(COLUMNS).encode({"user": ["u9"], "day": ["1"]})


@pytest.mark.parametrize("token", ["noon", "", "nan", "inf"])
def test_a_string_in_a_numeric_column_is_named_with_its_row(token):
    vocabulary = Vocabulary.fit(COLUMNS, numeric=["hour"])
    with pytest.raises(BenchmarkError, match=f"Row 2: column 'hour' holds '{token}', which is not a number"):
        vocabulary.encode({"user": ["u9", "u9"], "hour": ["7", token]})


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "own.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_a_csv_is_read_by_column_name(tmp_path):
    path = write(tmp_path, 'click,hour,user\r\n1,7,"a,b"\r\n\r\n0,8,ü\r\n', "utf-8-sig")
    assert read_csv(path, ["user", "hour"], numeric=["hour"]) == {"user": ["a,b", "ü"], "hour": ["7", "8"]}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,day\nu1,2\n", r"own\.csv lacks the column hour\. Given: user, day\. Required: user, hour\."),
        ("user,hour\nu1,7\nu2,noon\n", r"own\.csv, line 3: column 'hour' holds 'noon', which is not a number"),
        ('user,hour\n"u\n1",7\nu2,noon\n', r"own\.csv, line 4: column 'hour'"),
        ("user,hour\nu1,7,8\n", r"own\.csv, line 2: 3 values under a header of 2 columns"),
        ("user,hour\n", "a header and no rows"),
        ("", r"lacks the columns user, hour\. Given: none"),
        ("user,hour,user\nu1,7,u2\n", "names the column user twice"),
    ],
)
def test_mistakes_in_a_csv_name_the_place(tmp_path, text, message):
    with pytest.raises(BenchmarkError, match=message):
        read_csv(write(tmp_path, text), ["user", "hour"], numeric=["hour"])


def test_a_csv_that_is_absent_or_no_text_is_an_error(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be read"):
        read_csv(tmp_path / "absent.csv", ["user"])
    with pytest.raises(BenchmarkError, match="UTF-8"):
        read_csv(write(tmp_path, "user\nü\n", "latin-1"), ["user"])
