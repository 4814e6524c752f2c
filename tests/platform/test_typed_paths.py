"""Paths on the command line, alone and in a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.config import compose, expand


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weights", "runs/epoch=3-step=9.ckpt"),
        ("weights", "model (1) [b].pt"),
        ("store", "it's {here}=x"),
        ("weights", "'quoted=1.pt'"),
    ],
)
def test_a_path_may_have_signs_of_the_grammar(name: str, value: str, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert compose([f"{name}={value}"])[name] == value.strip("'")
    ((point,),) = expand([f"{name}={value}"])
    assert compose([point])[name] == value.strip("'")


def test_a_path_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert compose(["store=~/results"])["store"] == str(tmp_path / "results")
