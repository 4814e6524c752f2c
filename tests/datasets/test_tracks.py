"""Recordings from files: formats that agree, mistakes named by file and line, what a forecast is asked for."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from benchmarks.datasets.readers import eth_ucy
from benchmarks.datasets.readers.tracks import read_observed, read_tracks, remarks
from benchmarks.errors import BenchmarkError

ROWS = [(10, 1, 0.5, -1.25), (10, 3, 2.0, 2.0), (20, 1, 0.75, -1.5), (20, 2, 7.0, 1e-3), (20, 3, 2.0, 2.5)]


def write(tmp_path, name, text, encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def line(frame, pedestrian, x, y, **more):
    return json.dumps({"track": {"f": frame, "p": pedestrian, "x": x, "y": y, **more}}) + "\n"


def walk(frames, pedestrians, step=0.5):
    """Rows of pedestrians who walk along x; `pedestrians` gives the frames of each."""
    return [(f, p, step * frames.index(f), float(p)) for f in frames for p, seen in pedestrians.items() if f in seen]


def text(rows):
    return "".join("\t".join(map(str, row)) + "\n" for row in rows)


def assert_rows(tracks, rows):
    assert tracks.frame.tolist() == [row[0] for row in rows]
    assert tracks.pedestrian.tolist() == [row[1] for row in rows]
    assert tracks.xy.tolist() == [list(row[2:]) for row in rows]
    assert tracks.frame.dtype == tracks.pedestrian.dtype == np.int64


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", text(ROWS)),
        ("a.tsv", text(ROWS).replace("10\t1\t", "10.0\t1.0\t")),
        ("a.TXT", "\n" + text(ROWS).replace("\t", "  ").replace("\n", "\r\n") + " \n\n"),
        ("a.csv", "frame,ped,x,y\n" + text(ROWS).replace("\t", ",")),
        ("a.csv", "y, Agent,note,X,frame\n" + "".join(f'{y},{p},"a, b",{x},{f}\n\n' for f, p, x, y in ROWS)),
        ("a.csv", "id,frame,pedestrian,x,y\n" + "".join(f"k,{f},{p},{x},{y}\n" for f, p, x, y in ROWS)),
        ("a.ndjson", '{"scene": {"id": 0, "p": 1, "s": 10, "e": 20, "fps": 2.5}}\n' + "".join(line(*r) for r in ROWS)),
    ],
    ids=["tabs", "decimal point", "spaces and blank lines", "csv", "any order", "id of a row", "Trajnet++"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_all_formats_give_the_same_rows(tmp_path, name, content, encoding):
    assert_rows(read_tracks(write(tmp_path, name, content, encoding)), ROWS)


def test_predictions_in_a_trajnet_file_are_passed_over(tmp_path):
    content = "".join(line(*row) for row in ROWS) + line(30, 1, 9.0, 9.0, prediction_number=0, scene_id=4)
    assert_rows(read_tracks(write(tmp_path, "a.ndjson", content)), ROWS)


def test_rows_may_come_pedestrian_by_pedestrian_or_unsorted_within_a_frame(tmp_path):
    by_pedestrian = sorted(ROWS, key=lambda row: (-row[1], row[0]))
    assert_rows(read_tracks(write(tmp_path, "a.txt", text(by_pedestrian))), ROWS)
    within = [ROWS[1], ROWS[0], ROWS[4], ROWS[2], ROWS[3]]
    assert_rows(read_tracks(write(tmp_path, "b.txt", text(within))), ROWS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", "", r"suffix '\.xlsx'\. Recordings end in \.txt, \.tsv, \.csv, \.ndjson"),
        ("a.txt", " \n\n", "holds no positions"),
        ("a.csv", "frame,ped,x,y\n", "holds no positions"),
        ("a.ndjson", '{"scene": {"id": 0}}\n', "holds no positions"),
        ("a.txt", "10 1 2 3\n\n10 2 2\n", r"a\.txt, line 3: 3 values, where 4 belong: frame, pedestrian, x, y"),
        ("a.txt", "10 1 2 3 4\n", "line 1: 5 values, where 4 belong"),
        ("a.txt", "10,1,2,3\n", "line 1: 1 value, where 4 belong"),
        ("a.txt", "10 1 2 3\n20 1 two 3\n", "line 2: x is 'two', which is not a number"),
        ("a.txt", "10 1 2 3\n\n20 1 nan 3\n", "line 3: x is nan. Leave out the rows"),
        ("a.csv", "frame,ped,x,y\n10,1,2,inf\n", "line 2: y is inf"),
        ("a.csv", "frame,ped,x,y\n10,1,,3\n", "line 2: x is '', which is not a number"),
        ("a.csv", "frame,ped,x,y\n10,1,2,5,3,5\n", "line 2: 6 values, where 4 belong"),
        ("a.csv", "frame,x,y\n1,2,3\n", r"lacks the column pedestrian\. Given: frame, x, y\. .* with commas between"),
        ("a.csv", "frame;ped;x;y\n1;2;3;4\n", "lacks the columns frame, pedestrian, x, y"),
        ("a.csv", "", "lacks the columns .* Given: none"),
        ("a.txt", "0.4 1 2 3\n", "line 1: frame is 0.4. Frames are whole numbers"),
        ("a.txt", "10 -1 2 3\n", "line 1: pedestrian is -1. Pedestrians are whole numbers from 0"),
        ("a.txt", "10 1.5 2 3\n", "line 1: pedestrian is 1.5"),
        ("a.ndjson", line(*ROWS[0]) + '{"track": {"f": 1, "p": "a", "x": 1, "y": 2}}\n', "line 2: .*track.p"),
        ("a.ndjson", "\n{track\n", "line 2: .*A line of Trajnet"),
        ("a.txt", "10 1 2 3\n20 1 2 3\n10 2 2 3\n20 2 1 1\n15 1 2 2\n", "line 3: frame 10 comes after frame 20. Sort"),
        ("a.txt", "10 1 2 3\n20 1 2 3\n\n15 1 2 2\n", "line 4: frame 15 comes after frame 20. Sort"),
        (
            "a.csv",
            "frame,ped,x,y\n1,1,2,3\n1,2,2,3\n1,1,4,4\n",
            r"line 4: pedestrian 1 is in frame 1 twice \(first in line 2\)",
        ),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path, name, content, message):
    path = write(tmp_path, name, content)
    with pytest.raises(BenchmarkError, match=message) as raised:
        read_tracks(path)
    assert str(path) in str(raised.value)


def test_a_file_in_another_encoding_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be read as text in UTF-8"):
        read_tracks(write(tmp_path, "a.csv", "frame,ped,x,y,ort\n1,1,2,3,Köln\n", "latin-1"))


def test_the_real_files_are_read_as_a_plain_parser_reads_them(mirror):
    for name in eth_ucy.LAST_TRAIN_FRAME:
        path = mirror / "eth_ucy" / f"{name}.txt"
        tracks = read_tracks(path)
        rows = [[float(value) for value in row.split("\t")] for row in path.read_text().splitlines()]
        assert np.array_equal(np.column_stack([tracks.frame, tracks.pedestrian, tracks.xy]), np.array(rows))
        # Nobody is on both sides of a gap in time, and even biwi_eth, at the wrong speed, is not taken for pixels.
        assert remarks(tracks) == []


def test_pixels_given_as_metres_are_remarked_on(tmp_path):
    frames = list(range(0, 100, 10))
    slow, fast = (walk(frames, {1: frames, 2: frames}, step) for step in (0.5, 40.0))
    assert remarks(read_tracks(write(tmp_path, "slow.txt", text(slow)))) == []
    (remark,) = remarks(read_tracks(write(tmp_path, "fast.txt", text(fast))))
    assert "fast.txt: those who move do 100.0 m/s" in remark
    assert "homography" in remark
    assert remarks(read_tracks(tmp_path / "fast.txt"), step_seconds=40.0) == []


def test_those_who_stand_do_not_hide_pixels(tmp_path):
    frames = list(range(10))
    rows = sorted(walk(frames, {1: frames}, 40.0) + [(f, p, 0.0, 0.0) for f in frames for p in (2, 3, 4)])
    assert len(remarks(read_tracks(write(tmp_path, "a.txt", text(rows))))) == 1


def test_a_gap_is_remarked_on_where_somebody_is_on_both_sides(tmp_path):
    frames = [0, 10, 20, 70, 80]
    (remark,) = remarks(read_tracks(write(tmp_path, "a.txt", text(walk(frames, {1: frames, 2: [0, 10]})))))
    assert "not 10 frames long" in remark
    assert "There are 1, the first that of pedestrian 1 from frame 20 to 70" in remark
    apart = walk(frames, {1: [0, 10, 20], 2: [70, 80]})
    assert remarks(read_tracks(write(tmp_path, "b.txt", text(apart)))) == []


def test_the_last_steps_of_everybody_who_has_them_are_observed(tmp_path, caplog):
    frames = list(range(100, 300, 10))
    rows = walk(frames, {9: frames, 4: frames[10:], 5: frames[-3:], 6: frames[:15], 7: frames[:5]})
    path = write(tmp_path, "a.txt", text(rows))
    with caplog.at_level(logging.WARNING):
        tracks, obs, pedestrian, frame, group = read_observed(path, 8)
    assert len(tracks) == len(rows)
    assert pedestrian.tolist() == [4, 9]
    assert frame.tolist() == [290, 290]
    assert group.tolist() == [0, 0]
    assert obs.dtype == np.float32
    expected = [[[0.5 * frames.index(f), p] for f in frames[-8:]] for p in (4, 9)]
    assert np.array_equal(obs, np.array(expected, np.float32))
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: no forecast for pedestrian 5 (3 of 8), 6 (3 of 8): not in all of the last 8 frames."
    ]


def test_observed_positions_are_rounded_like_those_of_the_training_windows(tmp_path):
    path = write(tmp_path, "a.txt", text([(f, 1, f + 0.123456789, -f / 3) for f in range(8)]))
    expected = [[np.float32(round(f + 0.123456789, 4)), np.float32(round(-f / 3, 4))] for f in range(8)]
    assert np.array_equal(read_observed(path)[1][0], np.array(expected, np.float32))


@pytest.mark.parametrize(
    ("seen", "message"), [(7, r"pedestrian 1 \(7 of 8\), 2 \(1 of 8\)"), (20, r"pedestrian 2 \(1 of 8\)")]
)
def test_nobody_with_enough_steps_is_an_error_that_names_them(tmp_path, seen, message):
    frames = list(range(seen))
    whole = frames if seen < 8 else frames[:5]
    rows = walk(frames, {1: whole, 2: frames[-1:], 3: frames[5:12] if seen > 8 else []})
    with pytest.raises(BenchmarkError, match=message):
        read_observed(write(tmp_path, "a.txt", text(rows)), 8)


def test_pixels_are_remarked_on_before_a_forecast(tmp_path, caplog):
    frames = list(range(8))
    read_observed(write(tmp_path, "a.txt", text(walk(frames, {1: frames}, 30.0))))
    assert "If x and y are pixels" in caplog.text
