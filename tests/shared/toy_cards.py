"""Cards of a made-up data set, whose files are had by hand or from an address."""

from __future__ import annotations

import hashlib

from benchmarks.datasets.card import DatasetCard, FileSource

CONTENT = b"clicks\n" * 1000
WRONG = b"other bytes"


def sha(content):
    return hashlib.sha256(content).hexdigest()


def card_of(*files, **extra):
    fields = {"title": "Toy", "task": ["ctr"], "summary": "s", "licence": "l", "citation": "c", "reader": "r"}
    return DatasetCard(id="toy", reader_version=1, files=list(files), **fields, **extra)


def by_hand(path="a.txt", content=CONTENT, **extra):
    return FileSource(path=path, sha256=sha(content), how="Ask the author.", **extra)


def online(path="a.txt", content=CONTENT, urls=("https://127.0.0.1:1/a.txt",), **extra):
    return FileSource(path=path, sha256=sha(content), urls=list(urls), **extra)


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
