"""The cache: mirrored and hand-placed files, verification before use, atomic installation."""

from __future__ import annotations

import hashlib
import io
import zipfile

import pytest

from benchmarks.datasets import cache, checksums
from benchmarks.datasets.card import FileSource
from benchmarks.errors import BenchmarkError
from toy_cards import CONTENT, WRONG, by_hand, card_of, files_below, online, sha


@pytest.fixture
def own_mirror(data_cache, tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / "toy"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(CONTENT)
    monkeypatch.setenv("BENCH_MIRROR", str(tmp_path / "mirror"))
    return folder


def test_a_mirrored_file_is_copied_into_the_cache_and_the_mirror_is_then_not_needed(own_mirror, data_cache):
    card = card_of(by_hand())
    assert cache.fetch(card)["a.txt"].read_bytes() == CONTENT
    (own_mirror / "a.txt").unlink()
    assert cache.fetch(card)["a.txt"] == data_cache / "toy" / "a.txt"
    assert files_below(data_cache) == {"toy/a.txt", "toy/.verified.json", ".toy.lock"}


def test_the_folder_of_a_card_names_its_place_in_mirror_and_cache(own_mirror, data_cache):
    own_mirror.rename(own_mirror.parent / "shared")
    assert cache.fetch(card_of(by_hand(), folder="shared"))["a.txt"] == data_cache / "shared" / "a.txt"


def test_upper_case_checksums_are_accepted(own_mirror):
    file = FileSource(path="a.txt", sha256=sha(CONTENT).upper(), how="h")
    assert cache.fetch(card_of(file))["a.txt"].read_bytes() == CONTENT


def test_a_verified_file_is_not_hashed_again_until_it_changes(own_mirror, monkeypatch):
    card = card_of(by_hand())
    path = cache.fetch(card)["a.txt"]

    def refuse(*_):
        raise AssertionError("hashed again")

    with monkeypatch.context() as patched:
        patched.setattr(checksums, "digest", refuse)
        cache.fetch(card)
        path.touch()
        with pytest.raises(AssertionError, match="hashed again"):
            cache.fetch(card)
    assert cache.fetch(card)["a.txt"].read_bytes() == CONTENT


def test_a_corrupt_cached_file_is_fetched_again(own_mirror, data_cache):
    card = card_of(by_hand())
    cache.fetch(card)["a.txt"].write_bytes(WRONG)
    assert cache.fetch(card)["a.txt"].read_bytes() == CONTENT


def test_a_corrupt_cached_file_without_a_source_is_refused_and_left_alone(own_mirror, data_cache, monkeypatch):
    card = card_of(by_hand())
    path = cache.fetch(card)["a.txt"]
    path.write_bytes(WRONG)
    monkeypatch.delenv("BENCH_MIRROR")
    with pytest.raises(BenchmarkError, match="refused") as error:
        cache.fetch(card)
    assert sha(WRONG) in str(error.value)
    assert sha(CONTENT) in str(error.value)
    assert path.read_bytes() == WRONG


def test_a_wrong_file_in_the_mirror_is_named_and_left_untouched(own_mirror, data_cache):
    (own_mirror / "a.txt").write_bytes(WRONG)
    with pytest.raises(BenchmarkError) as error:
        cache.fetch(card_of(by_hand()))
    for part in (str(own_mirror / "a.txt"), sha(WRONG), sha(CONTENT)):
        assert part in str(error.value)
    assert (own_mirror / "a.txt").read_bytes() == WRONG
    assert files_below(data_cache) == {".toy.lock"}


def test_a_corrupt_cached_file_stays_until_a_right_one_is_there(own_mirror, data_cache):
    card = card_of(by_hand())
    path = cache.fetch(card)["a.txt"]
    path.write_bytes(b"corrupt")
    (own_mirror / "a.txt").write_bytes(WRONG)
    with pytest.raises(BenchmarkError, match="could not be had"):
        cache.fetch(card)
    assert path.read_bytes() == b"corrupt"


def test_a_file_without_any_source_tells_how_to_get_it_and_where_to_put_it(data_cache):
    with pytest.raises(BenchmarkError) as error:
        cache.fetch(card_of(by_hand()))
    assert "Ask the author." in str(error.value)
    assert str(data_cache / "toy" / "a.txt") in str(error.value)
    assert not data_cache.exists()


def test_a_file_put_into_the_cache_by_hand_is_verified_and_used(data_cache):
    (data_cache / "toy").mkdir(parents=True)
    (data_cache / "toy" / "a.txt").write_bytes(CONTENT)
    assert cache.fetch(card_of(by_hand()))["a.txt"].read_bytes() == CONTENT


def test_a_mirror_that_is_no_folder_is_an_error(data_cache, monkeypatch):
    monkeypatch.setenv("BENCH_MIRROR", str(data_cache / "nowhere"))
    with pytest.raises(BenchmarkError, match=r"BENCH_MIRROR is '.*nowhere'"):
        cache.fetch(card_of(by_hand()))


def test_offline_uses_a_mirror_folder(own_mirror, monkeypatch):
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    assert cache.fetch(card_of(online()))["a.txt"].read_bytes() == CONTENT


def test_optional_files_come_only_when_asked_for(own_mirror, data_cache):
    (own_mirror / "weights.npz").write_bytes(WRONG)
    card = card_of(by_hand(), by_hand("weights.npz", WRONG, optional=True))
    assert list(cache.fetch(card)) == ["a.txt"]
    assert list(cache.fetch(card, files=["weights.npz"])) == ["weights.npz"]
    with pytest.raises(BenchmarkError, match=r"Did you mean 'weights\.npz'"):
        cache.fetch(card, files=["weight.npz"])


def test_an_archive_is_unpacked_beside_itself_and_again_when_it_changes(own_mirror, data_cache):
    def archive(text):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as opened:
            opened.writestr("inner/x.txt", text)
        (own_mirror / "pictures.zip").write_bytes(buffer.getvalue())
        return card_of(by_hand("pictures.zip", buffer.getvalue(), extract=True))

    for text in ("one", "two"):
        place = cache.fetch(archive(text))["pictures.zip"]
        assert place == data_cache / "toy" / "pictures"
        assert (place / "inner" / "x.txt").read_text() == text


def test_a_staging_folder_of_a_killed_process_is_removed(own_mirror, data_cache):
    (data_cache / "toy" / cache.STAGING).mkdir(parents=True)
    (data_cache / "toy" / cache.STAGING / "part").write_bytes(WRONG)
    cache.fetch(card_of(by_hand()))
    assert not (data_cache / "toy" / cache.STAGING).exists()


def test_state_tells_cached_fetchable_and_by_hand(own_mirror, data_cache, monkeypatch):
    card = card_of(by_hand(bytes=len(CONTENT)))
    assert cache.state(card_of()) == "built in"
    assert cache.state(card) == "fetchable"
    cache.fetch(card)
    assert cache.state(card) == "cached"
    monkeypatch.delenv("BENCH_MIRROR")
    (data_cache / "toy" / "a.txt").write_bytes(WRONG)
    assert cache.state(card) == "by hand"
    assert cache.state(card_of(online("b.txt"))) == "fetchable"


def test_an_audit_finds_a_change_that_kept_size_and_time(own_mirror, data_cache):
    import os

    card = card_of(by_hand(), by_hand("b.txt"))
    path = cache.fetch(card, files=["a.txt"])["a.txt"]
    stamp = path.stat()
    path.write_bytes(CONTENT[::-1])
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert cache.audit(card) == {"a.txt": sha(CONTENT[::-1]), "b.txt": None}


def test_a_cache_that_cannot_be_written_is_an_error_that_names_the_variable(own_mirror, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "file" / "below"))
    with pytest.raises(BenchmarkError, match="Set BENCH_DATA"):
        cache.fetch(card_of(by_hand()))


def test_without_bench_data_the_cache_lies_in_the_platforms_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("BENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.root().name == "data"
    assert cache.root().parent.name == "lowrank-benchmarks"


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def test_an_md5_is_verified_like_a_sha256(own_mirror, data_cache):
    card = card_of(FileSource(path="a.txt", md5=md5(CONTENT).upper(), how="h"))
    assert cache.fetch(card)["a.txt"].read_bytes() == CONTENT
    assert cache.audit(card) == {"a.txt": md5(CONTENT)}
    (own_mirror / "a.txt").write_bytes(WRONG)
    (data_cache / "toy" / "a.txt").write_bytes(WRONG)
    with pytest.raises(BenchmarkError, match=f"expected md5 {md5(CONTENT)}, found {md5(WRONG)}"):
        cache.fetch(card)


def test_two_digests_of_a_file_are_remembered_beside_each_other(own_mirror, data_cache, monkeypatch):
    cache.fetch(card_of(by_hand()))
    ledger = checksums.Ledger(data_cache / "toy")
    assert ledger.found("a.txt", "md5") == md5(CONTENT)
    monkeypatch.setattr(checksums, "digest", None)
    assert (ledger.found("a.txt"), ledger.found("a.txt", "md5")) == (sha(CONTENT), md5(CONTENT))


def test_a_file_without_a_checksum_is_taken_as_it_is_found(own_mirror, data_cache, monkeypatch):
    card = card_of(FileSource(path="a.txt", how="Ask the author."))
    assert cache.state(card) == "fetchable"
    assert cache.fetch(card)["a.txt"].read_bytes() == CONTENT
    (data_cache / "toy" / "a.txt").write_bytes(WRONG)
    assert cache.fetch(card)["a.txt"].read_bytes() == WRONG
    (data_cache / "toy" / "a.txt").unlink()
    monkeypatch.delenv("BENCH_MIRROR")
    with pytest.raises(BenchmarkError, match=r"a\.txt is missing.*Ask the author.*any sha256"):
        cache.fetch(card)
