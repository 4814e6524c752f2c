"""Which data exactly: files without a publisher's checksum count with the sha256 that they have."""

from __future__ import annotations

import hashlib

import pytest

from benchmarks.datasets import checksums
from benchmarks.datasets import open as opening
from benchmarks.datasets.card import DatasetCard, FileSource
from benchmarks.datasets.fingerprint import fingerprint
from benchmarks.errors import BenchmarkError


def card_of(*files: FileSource) -> DatasetCard:
    fields = {"title": "Toy", "task": ["ctr"], "summary": "s", "licence": "l", "citation": "c"}
    return DatasetCard(id="toy", reader="clicks", reader_version=1, options={"label": "y"}, files=list(files), **fields)


TAKEN = card_of(*(FileSource(path=f"{name}.csv", how="Ask the author.") for name in ("train", "valid", "test")))
CONTENT = "y,user\n0,a\n1,b\n0,a\n"


@pytest.fixture
def place(data_cache):
    folder = data_cache / "toy"
    folder.mkdir(parents=True)
    for file in TAKEN.files:
        (folder / file.path).write_text(CONTENT)
    return folder


def test_it_needs_no_file_where_the_card_names_all_checksums(data_cache):
    card = card_of(FileSource(path="a", sha256="0" * 64, how="h"), FileSource(path="b", md5="1" * 32, how="h"))
    other = card_of(FileSource(path="a", sha256="0" * 64, how="h"), FileSource(path="b", md5="2" * 32, how="h"))
    assert fingerprint(card) == card.fingerprint() != other.fingerprint()
    assert not data_cache.exists()


def test_a_file_that_is_taken_as_found_counts_with_its_sha256(place, monkeypatch):
    before = fingerprint(TAKEN)
    with monkeypatch.context() as patched:
        patched.setattr(checksums, "digest", None)  # remembered: nothing is hashed again
        assert fingerprint(TAKEN) == before
    (place / "test.csv").write_text(CONTENT + "1,c\n")
    assert fingerprint(TAKEN) != before


def test_a_missing_file_says_how_to_get_it(data_cache):
    with pytest.raises(BenchmarkError, match="Ask the author"):
        fingerprint(TAKEN)


def test_a_bundle_says_what_was_not_verified_and_is_named_by_its_fingerprint(place, monkeypatch):
    monkeypatch.setattr(opening, "load_card", lambda _: TAKEN)
    bundle = opening.open_bundle("toy", progress=False)
    found = hashlib.sha256(CONTENT.encode()).hexdigest()
    assert bundle.notes[0].startswith(f"train.csv (sha256 {found}) was taken as it was found")
    assert bundle.fingerprint == fingerprint(TAKEN)
    assert (place / ".built" / bundle.fingerprint / "manifest.json").is_file()
