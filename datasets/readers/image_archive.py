"""Images of a data set wherever they lie: files of their own, or members of archives that were put there by hand."""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from benchmarks.datasets.archive import UNREADABLE
from benchmarks.errors import BenchmarkError

DAMAGE = (*UNREADABLE, OSError, KeyError)

JUNK = ("__MACOSX", "._", ".DS_Store")
"""What some packers leave between the files."""


class Images:
    """Images by the end of their path, as `training/images/21.tif`, whatever folders the archive has around it.

    `layout` tells the reader of an error what must be there. Members ending in `.gz` are unpacked.
    """

    def __init__(
        self, where: str, layout: str, places: Mapping[str, Path | str], archive: Archive | None = None
    ) -> None:
        self.where, self.layout, self.archive = where, layout, archive
        self.places: dict[str, Path | str] = {}
        for path, place in places.items():
            parts = PurePosixPath(path).parts
            if not any(part.startswith(JUNK) for part in parts):
                for start in range(len(parts)):
                    self.places.setdefault("/".join(parts[start:]), place)

    def __getitem__(self, path: str) -> Path | bytes:
        """The image that ends so; raises BenchmarkError with the path where there is none."""
        place = self.places.get(path)
        if place is None:
            raise BenchmarkError(f"{self.where} holds no {path}. {self.layout}")
        if isinstance(place, Path):
            return place
        assert self.archive is not None
        packed = self.archive.read(place)
        with _intact(f"{place} in {self.where}"):
            return gzip.decompress(packed) if place.endswith(".gz") else packed

    def names(self, folder: str, suffix: str) -> list[str]:
        """What stands between `folder/` and `suffix` in paths that end so, sorted; raises BenchmarkError for nothing."""
        start = f"{folder}/" if folder else ""
        found = sorted(
            path[len(start) : -len(suffix)]
            for path in self.places
            if path.startswith(start) and path.endswith(suffix) and "/" not in path[len(start) :]
        )
        if not found:
            raise BenchmarkError(f"{self.where} holds no {start}*{suffix}. {self.layout}")
        return found


class Archive:
    """A zip or tar file; raises BenchmarkError for anything else, and for damage where it is met."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: zipfile.ZipFile | tarfile.TarFile
        try:
            self.file = zipfile.ZipFile(path) if zipfile.is_zipfile(path) else tarfile.open(path)  # noqa: SIM115
        except DAMAGE as error:
            kind = "zip" if path.suffix == ".zip" else "tar"
            raise BenchmarkError(f"{path} is no {kind} archive: {error}.") from error

    def names(self) -> list[str]:
        with _intact(str(self.path)):
            return self.file.namelist() if isinstance(self.file, zipfile.ZipFile) else self.file.getnames()

    def read(self, name: str) -> bytes:
        with _intact(f"{name} in {self.path}"):
            if isinstance(self.file, zipfile.ZipFile):
                return self.file.read(name)
            member = self.file.extractfile(name)
            return b"" if member is None else member.read()


@contextmanager
def _intact(what: str) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise BenchmarkError(f"{what} is damaged: {error}. Fetch or pack it again.") from error


@contextmanager
def images_of(files: Mapping[str, Path], archive: str, layout: str = "") -> Iterator[Images]:
    """The images of `files[archive]` where a data set has that file, else the files themselves; each is read when asked for."""
    if archive not in files:
        yield Images("The data set", layout, files)
        return
    opened = Archive(files[archive])
    try:
        yield Images(str(files[archive]), layout, {name: name for name in opened.names()}, opened)
    finally:
        opened.file.close()
