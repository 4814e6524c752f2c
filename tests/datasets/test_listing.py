"""Listings: many files in a few lines of a card, checked like any others, and mirrors that keep a file elsewhere."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from benchmarks.datasets.cache import fetch, state
from benchmarks.datasets.card import DatasetCard, load_card
from benchmarks.datasets.listing import listed
from benchmarks.errors import BenchmarkError

URL = "https://example.org/raw/{path}"


def write(folder: Path, *lines: str) -> Path:
    (folder / "toy.sha256").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "toy.yaml"


def test_every_line_is_a_file_with_an_address_of_its_own(tmp_path: Path) -> None:
    card = write(tmp_path, f"{'0' * 64} 12 a/b.png", f"{'1' * 64} 7 Ground truth/c.png")
    first, second = listed(card, [{"file": "toy.sha256", "url": URL}])
    assert (first["path"], first["sha256"], first["bytes"]) == ("a/b.png", "0" * 64, 12)
    assert second["path"] == "Ground truth/c.png"
    assert second["urls"] == ["https://example.org/raw/Ground%20truth/c.png"]


def test_a_listing_may_have_a_folder_of_its_own_and_say_where_a_mirror_keeps_it(tmp_path: Path) -> None:
    card = write(tmp_path, f"{'0' * 64} 12 a/b.png")
    listing = {"file": "toy.sha256", "url": URL, "folder": "own", "mirror": "origin/{path}"}
    (entry,) = listed(card, [listing])
    assert (entry["path"], entry["mirror"]) == ("own/a/b.png", "origin/a/b.png")
    assert entry["urls"] == ["https://example.org/raw/a/b.png"]
    (flat,) = listed(card, [listing | {"mirror": "origin/{flat}"}])
    assert flat["mirror"] == "origin/a_b.png"


@pytest.mark.parametrize(
    ("lines", "listing", "words"),
    [
        ([f"{'0' * 64} a.png"], {"file": "toy.sha256", "url": URL}, "line 1"),
        ([f"{'0' * 64} 1 a.png"], {"file": "toy.sha256", "url": "https://example.org"}, "must hold {path}"),
        ([f"{'0' * 64} 1 a.png"], {"file": "other.sha256", "url": URL}, "cannot be read"),
        ([f"{'0' * 64} 1 a.png"], {"file": "toy.sha256", "url": URL, "sort": "x"}, "not .'sort'."),
    ],
)
def test_a_wrong_listing_is_refused_by_name(tmp_path: Path, lines: list[str], listing: dict, words: str) -> None:
    with pytest.raises(BenchmarkError, match=words):
        listed(write(tmp_path, *lines), [listing])


def test_files_of_a_listing_are_among_those_of_its_card() -> None:
    card = load_card("sirst")
    assert len(card.required) == 2 * 427 + 6
    assert card.file("masks/Misc_70_pixels0.png").urls[0].endswith("/masks/Misc_70_pixels0.png")
    assert load_card("sirst_320").required == card.required


def test_a_mirror_may_keep_a_file_in_another_folder(
    tmp_path: Path, data_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights"
    entry = {"path": "w.pkl", "sha256": sha256(content).hexdigest(), "how": "ask", "mirror": "other/w.pkl"}
    plain = {"id": "toy", "title": "t", "task": ["ctr"], "summary": "s", "licence": "l", "citation": "c", "reader": "r"}
    card = msgspec.convert(plain | {"reader_version": 1, "files": [entry]}, DatasetCard)
    mirror = tmp_path / "mirror"
    (mirror / "other").mkdir(parents=True)
    monkeypatch.setenv("BENCH_MIRROR", str(mirror))
    assert state(card) == "by hand"
    (mirror / "other" / "w.pkl").write_bytes(content)
    assert state(card) == "fetchable"
    assert fetch(card, progress=False)["w.pkl"].read_bytes() == content
    with pytest.raises(msgspec.ValidationError, match=r"mirror '\.\./w\.pkl' must be relative"):
        msgspec.convert(plain | {"reader_version": 1, "files": [entry | {"mirror": "../w.pkl"}]}, DatasetCard)
