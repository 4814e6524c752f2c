"""Pairs of images by their paths: templates with braces, lists of pairs, and which units train."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from benchmarks.datasets.card import ARCHIVE
from benchmarks.datasets.readers.image_archive import JUNK, Archive
from benchmarks.errors import BenchmarkError

BRACES = re.compile(r"\{(\w+)\}")
Place = tuple[Archive | None, str | Path]
Pools = tuple[list["Pair"], list["Pair"], list["Pair"]]
"""Pairs for training, validation and test."""


@dataclass(frozen=True)
class Pair:
    """A degraded image and its clean partner by path; `unit` is the scene, `part` and `kind` what the path says of them."""

    name: str
    unit: str
    part: str
    kind: str
    image: str
    clean: str


class PairFiles(contextlib.AbstractContextManager["PairFiles"]):
    """All files of a data set, archives opened, among which pairs are found by the ends of their paths.

    `image` and `clean` are templates (see `photo_pairs.read`); letters of paths may be large or small.
    """

    def __init__(self, files: Mapping[str, Path], image: str, clean: str) -> None:
        self.image, self.clean, self.pattern = image, clean, matching(image)
        names, wanted = set(BRACES.findall(image)), set(BRACES.findall(clean))
        if absent := sorted(wanted - names):
            raise BenchmarkError(f"data.clean={clean} has {{{absent[0]}}}, which data.image={image} has not.")
        self.archives: list[Archive] = []
        self.places: dict[str, Place] = {}
        for path, place in sorted(files.items()):
            if not ARCHIVE.search(path):
                self.places[path] = (None, place)
                continue
            archive = Archive(place)
            self.archives.append(archive)
            before = ARCHIVE.sub("", path)
            for member in archive.names():
                if not any(part.startswith(JUNK) for part in member.split("/")):
                    self.places[f"{before}/{member.removeprefix('./')}"] = (archive, member)
        self.lower = {path.lower(): path for path in self.places}
        self.by_name: dict[str, list[str]] = {}
        for lower in self.lower:
            self.by_name.setdefault(lower.rpartition("/")[2], []).append(lower)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for archive in self.archives:
            archive.file.close()

    def read(self, path: str) -> Path | bytes:
        """What lies at a path that `pairs` or `ending` has given."""
        archive, place = self.places[path]
        return archive.read(str(place)) if archive else Path(place)

    def ending(self, end: str) -> str | None:
        """The path that ends so, from a slash on; None where there is none."""
        end = end.lower().lstrip("./")
        near = self.by_name.get(end.rpartition("/")[2], [])
        return next((self.lower[lower] for lower in near if lower == end or lower.endswith("/" + end)), None)

    def pairs(self, kinds: Sequence[str], skip: Sequence[str]) -> list[Pair]:
        """All pairs in the order of their paths; raises BenchmarkError for none, and for an image without its partner.

        `skip` are names of images that are known to have none.
        """
        found = []
        for lower, path in sorted(self.lower.items()):
            match = self.pattern.fullmatch(path)
            if not match or (kinds and match["kind"] not in kinds) or path.rpartition("/")[2] in skip:
                continue
            partner = (match["start"] or "") + filled(self.clean, match.groupdict())
            if partner.lower() == lower:
                continue
            if partner.lower() not in self.lower:
                raise BenchmarkError(f"{path} has no partner {partner}. Add it, or take the image out (data.skip).")
            found.append(self.pair(path, self.lower[partner.lower()]))
        if not found:
            some = ", ".join(list(self.places)[:3]) or "no file"
            wanted = f"data.image={self.image}" + (f" data.kinds={', '.join(kinds)}" if kinds else "")
            raise BenchmarkError(f"No path ends as {wanted} says; there are {len(self.places)} files: {some}.")
        return found

    def pair(self, image: str, clean: str) -> Pair:
        """A pair by its two paths, with what the template says of the first; one that says nothing is a unit of its own."""
        match = self.pattern.fullmatch(image)
        groups = match.groupdict() if match else {}
        name = image.removeprefix(groups.get("start") or "")
        # One scene of PolyU is spelled in two ways, with and without a line at its end.
        unit = (groups.get("scene") or name).rstrip("_")
        return Pair(name, unit, groups.get("part", ""), groups.get("kind", ""), image, clean)


def matching(template: str) -> re.Pattern[str]:
    """Paths that end as a template does; what stands before is the group `start`."""
    seen: set[str] = set()
    text, at = "", 0
    for brace in BRACES.finditer(template):
        name = brace[1]
        text += re.escape(template[at : brace.start()]) + (f"(?P={name})" if name in seen else f"(?P<{name}>[^/]+)")
        seen.add(name)
        at = brace.end()
    return re.compile(f"(?P<start>.*/)?{text}{re.escape(template[at:])}", re.IGNORECASE)


def filled(template: str, groups: Mapping[str, str]) -> str:
    """A template with what stands in its braces."""
    return BRACES.sub(lambda brace: groups[brace[1]], template)


def listed_parts(files: PairFiles, lists: Sequence[str], columns: str) -> Pools:
    """Pairs for training and test by two text files, whose lines name the paths of a pair by their ends.

    `columns` says what a line has, such as `clean image`. Raises BenchmarkError for a path that is not there.
    """
    order = columns.split()
    if len(lists) != 2 or not {"image", "clean"} <= set(order):
        raise BenchmarkError(
            f"data.lists={', '.join(lists)} data.columns={columns} is not valid: two lists, of training and of test, and columns "
            "of which one is image and one clean."
        )
    parts = [_listed(files, name, order) for name in lists]
    if common := {pair.image for pair in parts[0]} & {pair.image for pair in parts[1]}:
        raise BenchmarkError(f"{min(common)} is in both lists, {' and '.join(lists)}; parts must be disjoint.")
    return parts[0], [], parts[1]


def _listed(files: PairFiles, name: str, columns: Sequence[str]) -> list[Pair]:
    place = files.ending(name)
    if place is None:
        raise BenchmarkError(f"There is no {name}, which data.lists names.")
    source = files.read(place)
    text = (source if isinstance(source, bytes) else source.read_bytes()).decode("utf-8-sig", "replace")
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        words = dict(zip(columns, line.split(), strict=False))
        if not words:
            continue
        paths = {column: files.ending(words.get(column, "")) for column in ("image", "clean")}
        if missing := [column for column, path in paths.items() if path is None]:
            raise BenchmarkError(f"{name}, line {number}: the {missing[0]} of '{line}' is not there.")
        found.append(files.pair(str(paths["image"]), str(paths["clean"])))
    return found


def dealt(
    train: list[Pair], val: list[Pair], test: list[Pair], train_units: int, test_units: int, val_units: int, seed: int
) -> Pools:
    """Training, validation and test pairs, of which no unit is in two parts.

    The first `train_units` of the units, sorted and then permuted by `seed`, train; the last `test_units` by name are tested.
    Where there are no validation pairs yet, the last `val_units` of those that train, in their order, are.
    """
    units = sorted({pair.unit for pair in train})
    order = [units[number] for number in np.random.default_rng(seed).permutation(len(units))]
    if test_units and not test:
        tested = set(units[-test_units:])
        order = [unit for unit in order if unit not in tested]
        test = _of(train, tested)
    if train_units:
        order, rest = order[:train_units], order[train_units:]
        test = test or _of(train, rest)
    if not val:
        if len(order) <= val_units:
            raise BenchmarkError(
                f"{len(order)} units are for training, of which data.val_units={val_units} would be validation; one or more must "
                "be left."
            )
        order, held = order[:-val_units], order[-val_units:]
        val = _of(train, held)
    training = _of(train, order)
    sets = [{pair.unit for pair in part} for part in (training, val, test)]
    if common := (sets[0] & sets[1]) | (sets[0] & sets[2]) | (sets[1] & sets[2]):
        raise BenchmarkError(f"Unit '{min(common)}' is in two parts; parts must be disjoint.")
    return training, val, test


def _of(pairs: Sequence[Pair], units: Iterable[str]) -> list[Pair]:
    chosen = set(units)
    return [pair for pair in pairs if pair.unit in chosen]
