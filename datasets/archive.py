"""Unpacking of zip and tar archives that nobody vouches for: plain files below the target, or nothing at all."""

from __future__ import annotations

import contextlib
import errno
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from benchmarks.errors import BenchmarkError

LIMIT = 64 * 2**30
"""Bytes that an archive may declare in all."""
MEMBERS = 1_000_000
"""Members that an archive may hold."""

UNREADABLE = (
    zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError,
)  # fmt: skip
"""What the standard library says of archives that are damaged, encrypted, or packed in a way that it does not know."""

Member = tuple[str, int, IO[bytes] | None]
"""Name, declared bytes and content of a member; content None marks a folder."""


def extract(archive: Path, target: Path, *, limit: int = LIMIT) -> None:
    """Unpacks a zip or tar archive into the new folder `target`, completely or not at all.

    Raises BenchmarkError, and leaves nothing, for an absolute path, '..', a link, a device, a name that appears twice,
    more than `limit` declared bytes, or a file that is neither zip nor tar.
    """
    if target.exists():
        raise BenchmarkError(
            f"{archive} cannot be unpacked to {target}, which exists already. Remove it or choose another name."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        total = 0
        for count, (name, size, content) in enumerate(_members(archive), start=1):
            total += size
            if total > limit or count > MEMBERS:
                raise _refused(archive, name, f"the archive exceeds {limit:,} bytes or {MEMBERS:,} members")
            path = staging / _checked(archive, name)
            if content is None:
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as out:
                shutil.copyfileobj(content, out, 2**20)
        staging.chmod(0o755)
        staging.rename(target)
    except (FileExistsError, NotADirectoryError) as error:
        raise BenchmarkError(
            f"{archive} is refused: two of its members claim one path. Nothing was unpacked."
        ) from error
    except (*UNREADABLE, OSError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk, and not of a place in the archive that is none
        raise BenchmarkError(f"{archive} is not a readable zip or tar archive: {error}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _members(archive: Path) -> Iterator[Member]:
    return _zip_members(archive) if zipfile.is_zipfile(archive) else _tar_members(archive)


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive, info.filename, "links and devices are not allowed")
            with contextlib.nullcontext() if info.is_dir() else opened.open(info) as content:
                yield info.filename, info.file_size, content


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive, "r:*") as opened:
        for info in opened:
            if not (info.isreg() or info.isdir()):
                raise _refused(archive, info.name, "links and devices are not allowed")
            yield info.name, info.size, opened.extractfile(info)


def _checked(archive: Path, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or re.match("[A-Za-z]:", name):
        raise _refused(archive, name, "paths must lead below the target folder")
    return path


def _refused(archive: Path, name: str, reason: str) -> BenchmarkError:
    return BenchmarkError(f"{archive} is refused at member '{name}': {reason}. Nothing was unpacked.")
