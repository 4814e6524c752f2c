"""Files that anybody may hand over, damaged in every way that chance finds: an answer or a BenchmarkError, nothing else.

MATLAB files are not among them: SciPy's reader of damaged ones can end the whole process. Those of data sets are hashed first.
"""

from __future__ import annotations

import io
import os
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from benchmarks.datasets import card, catalogue
from benchmarks.datasets.archive import extract
from benchmarks.datasets.rasters import read_header
from benchmarks.datasets.readers.click_fields import read_csv
from benchmarks.datasets.readers.click_text import TextTable
from benchmarks.datasets.readers.image_archive import Archive
from benchmarks.datasets.readers.object_masks import read_colours, read_gray
from benchmarks.datasets.readers.tracks import read_tracks
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.record import Quality, Record, decode, encode
from benchmarks.sparse_object.rasters import read_raster

EXAMPLES = int(os.environ.get("BENCH_FUZZ", "40"))
"""Files that are tried a test; the same ones every time."""
QUICK = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def damaged(sound: bytes) -> st.SearchStrategy[bytes]:
    """A sound file with some bytes changed, a part cut out, doubled or filled with noise; and noise alone."""
    places = st.integers(0, max(0, len(sound) - 1))

    def flip(changes: list[tuple[int, int]]) -> bytes:
        content = bytearray(sound)
        for place, value in changes:
            content[place] = value
        return bytes(content)

    flips = st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=8).map(flip)
    cuts = st.tuples(places, places).map(lambda cut: sound[: min(cut)] + sound[max(cut) :])
    doubles = st.tuples(places, places).map(lambda part: sound[: max(part)] + sound[min(part) :])
    inserts = st.tuples(places, st.binary(max_size=20)).map(lambda put: sound[: put[0]] + put[1] + sound[put[0] :])
    return st.one_of(flips, cuts, doubles, inserts, st.binary(max_size=200))


def read_in_peace(read: Callable[[Path], object], content: bytes, name: str) -> None:
    """Reads a file of this content; whatever is no BenchmarkError fails the test."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / name
        path.write_bytes(content)
        try:
            read(path)
        except BenchmarkError as error:
            assert str(error)  # noqa: PT017 - that it may raise this is what is tested


@cache
def record() -> bytes:
    quality = [Quality(metric="auc", metric_version=1, split="test", value=0.5, primary=True, bounds=(0, 1))]
    return encode(
        Record(
            run_id="r", status="ok", created_utc="2026", task="ctr", task_version=1, dataset="d", data_fingerprint="f",
            method="svd", scale="small", seed=0, config={"a": [1, {"b": None}]}, config_hash="c", key="k", quality=quality,
        )
    )  # fmt: skip


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@QUICK
@given(damaged(record()))
def test_a_record(content: bytes) -> None:
    read_in_peace(lambda path: decode(path.read_bytes(), str(path)), content, "record.json")


@QUICK
@given(st.sampled_from(sorted(msgspec.json.decode(record()))), JSON)
def test_a_record_with_a_field_of_another_kind(field: str, value: object) -> None:
    content = msgspec.json.encode(msgspec.json.decode(record()) | {field: value})
    read_in_peace(lambda path: decode(path.read_bytes(), str(path)), content, "record.json")


def read_as_card(path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (card, catalogue):
            patch.setattr(module, "cards", lambda: {path.stem: path})
        patch.setattr(card, "read_card", catalogue.read_card.__wrapped__)
        card.load_card.__wrapped__(path.stem)


SOUND_CARD = catalogue.cards()["eth_ucy"]


@QUICK
@given(damaged(SOUND_CARD.read_bytes()))
def test_a_card(content: bytes) -> None:
    read_in_peace(read_as_card, content, "eth_ucy.yaml")


@QUICK
@given(st.sampled_from(["listings", *sorted(yaml.safe_load(SOUND_CARD.read_text(encoding="utf-8")))]), JSON)
def test_a_card_with_a_field_of_another_kind(field: str, value: object) -> None:
    whole = yaml.safe_load(SOUND_CARD.read_text(encoding="utf-8")) | {field: value}
    read_in_peace(
        read_as_card, yaml.safe_dump(whole, allow_unicode=True).encode("utf-8", "surrogatepass"), "eth_ucy.yaml"
    )


CLICKS = b"user,item,label\n" + b"".join(b'%d,"item %d",%d\n' % (row, row % 7, row % 2) for row in range(20))


@QUICK
@given(damaged(CLICKS))
def test_clicks_to_be_answered(content: bytes) -> None:
    read_in_peace(lambda path: read_csv(path, ["user", "item"], numeric=["user"]), content, "clicks.csv")


@QUICK
@given(damaged(CLICKS))
def test_clicks_to_be_learned(content: bytes) -> None:
    read_in_peace(lambda path: list(TextTable(path).blocks(["user", "item", "label"])), content, "clicks.csv")


TRACKS = {
    ".txt": b"".join(
        b"%d\t%d\t%.2f\t%.2f\n" % (10 * row, person, row, person) for row in range(8) for person in (1, 2)
    ),
    ".csv": b"frame,pedestrian,x,y\n" + b"".join(b"%d,1,%.2f,0\n" % (10 * row, row) for row in range(8)),
    ".ndjson": b"".join(b'{"track": {"f": %d, "p": 1, "x": %.2f, "y": 0.0}}\n' % (10 * row, row) for row in range(8)),
}


@pytest.mark.parametrize("suffix", TRACKS)
def test_tracks(suffix: str) -> None:
    @QUICK
    @given(damaged(TRACKS[suffix]))
    def check(content: bytes) -> None:
        read_in_peace(read_tracks, content, f"tracks{suffix}")

    check()


@cache
def image(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (12, 10, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "JPEG", "GIF"])
@pytest.mark.parametrize("read", [read_gray, read_colours])
def test_images(kind: str, read: Callable[[Path], object]) -> None:
    @QUICK
    @given(damaged(image(kind)))
    def check(content: bytes) -> None:
        read_in_peace(read, content, f"image.{kind.lower()}")

    check()


@cache
def geotiff(bands: int) -> bytes:
    import rasterio

    with rasterio.MemoryFile() as memory:
        with memory.open(driver="GTiff", height=9, width=11, count=bands, dtype="uint16", crs="EPSG:32633",
                         transform=rasterio.transform.from_origin(4e5, 5e6, 30, 30)) as file:  # fmt: skip
            file.write(np.arange(9 * 11 * bands, dtype=np.uint16).reshape(bands, 9, 11))
            for band in range(1, bands + 1):
                file.update_tags(band, wavelength=str(400 + 10 * band), wavelength_units="nm")
        return memory.read()


@pytest.mark.parametrize(("bands", "read"), [(1, read_raster), (6, read_header)])
def test_geotiffs(bands: int, read: Callable[[Path], object]) -> None:
    @QUICK
    @given(damaged(geotiff(bands)))
    def check(content: bytes) -> None:
        read_in_peace(read, content, "scene.tif")

    check()


@cache
def archive(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("images/a.png", image("PNG"))
    else:
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            member = tarfile.TarInfo("images/a.png")
            member.size = len(image("PNG"))
            tar.addfile(member, io.BytesIO(image("PNG")))
    return stream.getvalue()


def read_archive(path: Path) -> None:
    opened = Archive(path)
    try:
        for name in opened.names():
            opened.read(name)
    finally:
        opened.file.close()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives(kind: str) -> None:
    @QUICK
    @given(damaged(archive(kind)))
    def check(content: bytes) -> None:
        read_in_peace(read_archive, content, f"images.{kind}")

    check()


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_that_are_unpacked(kind: str) -> None:
    @QUICK
    @given(damaged(archive(kind)))
    def check(content: bytes) -> None:
        read_in_peace(lambda path: extract(path, path.parent / "here"), content, f"images.{kind}")

    check()
