"""Unpacking refuses whatever would leave the target folder, and leaves nothing then."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

from benchmarks.datasets.archive import extract
from benchmarks.errors import BenchmarkError


def zip_of(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content, mode in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, content)
    return path


def tar_of(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd" if kind in (tarfile.SYMTYPE, tarfile.LNKTYPE) else ""
            archive.addfile(info, io.BytesIO(content))
    return path


def assert_refused(archive, tmp_path, match, **options):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(BenchmarkError, match=match):
        extract(archive, tmp_path / "target", **options)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_plain_archives_are_unpacked(tmp_path, kind):
    if kind == "zip":
        archive = zip_of(tmp_path / "a", ("d/", b"", stat.S_IFDIR | 0o755), ("d/x", b"1", 0), ("y", b"2", stat.S_IFREG))
    else:
        members = [("./", b"", tarfile.DIRTYPE), ("./d/x", b"1", tarfile.REGTYPE), ("y", b"2", tarfile.REGTYPE)]
        archive = tar_of(tmp_path / "a", *members)
    extract(archive, tmp_path / "target")
    files = {
        str(path.relative_to(tmp_path / "target")): path.read_bytes()
        for path in tmp_path.rglob("target/**/*")
        if path.is_file()
    }
    assert files == {"d/x": b"1", "y": b"2"}


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:/evil", "..\\evil"])
def test_paths_out_of_the_target_are_refused(tmp_path, name):
    assert_refused(zip_of(tmp_path / "a.zip", ("fine", b"1", 0), (name, b"2", 0)), tmp_path, "evil")
    assert_refused(
        tar_of(tmp_path / "a.tar", ("fine", b"1", tarfile.REGTYPE), (name, b"2", tarfile.REGTYPE)), tmp_path, "evil"
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    assert_refused(tar_of(tmp_path / "a.tar", ("link", b"", kind)), tmp_path, "links and devices")


def test_links_in_a_zip_are_refused(tmp_path):
    assert_refused(
        zip_of(tmp_path / "a.zip", ("link", b"/etc/passwd", stat.S_IFLNK | 0o777)), tmp_path, "links and devices"
    )


def test_declared_sizes_beyond_the_limit_are_refused(tmp_path):
    bomb = zip_of(tmp_path / "a.zip", ("one", bytes(600), 0), ("two", bytes(600), 0))
    assert_refused(bomb, tmp_path, "exceeds 1,000 bytes", limit=1000)
    extract(bomb, tmp_path / "target", limit=1200)


def test_two_members_of_one_path_are_refused(tmp_path):
    archive = tar_of(tmp_path / "a.tar", ("x", b"1", tarfile.REGTYPE), ("x/y", b"2", tarfile.REGTYPE))
    assert_refused(archive, tmp_path, "claim one path")


def test_other_files_and_cut_archives_are_refused(tmp_path):
    (tmp_path / "text").write_text("no archive")
    assert_refused(tmp_path / "text", tmp_path, "not a readable")
    whole = tar_of(tmp_path / "whole", ("x", bytes(range(256)) * 400, tarfile.REGTYPE)).read_bytes()
    (tmp_path / "cut").write_bytes(whole[: len(whole) // 2])
    assert_refused(tmp_path / "cut", tmp_path, "not a readable")


def test_an_existing_target_is_not_touched(tmp_path):
    (tmp_path / "target").mkdir()
    assert_refused(zip_of(tmp_path / "a.zip", ("x", b"1", 0)), tmp_path, "exists already")
