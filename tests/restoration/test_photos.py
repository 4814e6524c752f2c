"""Photographs of a user's own: what is read of them, what comes back, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image, ImageCms

from benchmarks.__main__ import main
from benchmarks.errors import BenchmarkError
from benchmarks.inference import answers
from benchmarks.models.restoration.build import build
from benchmarks.restoration.photos import read_photo, write_photo
from benchmarks.restoration.task import Restoration
from benchmarks.solver import NetworkSolver

RANDOM = np.random.default_rng(0)
COLOURS = RANDOM.integers(0, 256, (13, 21, 3), dtype=np.uint8)
GRAY, ALPHA = COLOURS[..., 0], COLOURS[..., 1]


def saved(path: Path, pixels: np.ndarray, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def restored(path: Path, answer: Path) -> Image.Image:
    """What a network that changes nothing makes of a file."""
    task = Restoration()
    raw, split = task.read_input(path, {})
    found = answers(NetworkSolver(task, build("degraded"), {}), split, 4)
    task.write_output(answer, raw, found)
    return Image.open(answer)


@pytest.mark.parametrize(
    ("name", "pixels", "mode"),
    [
        ("gray", GRAY, "L"),
        ("colours", COLOURS, "RGB"),
        ("clear", np.dstack([COLOURS, ALPHA]), "RGBA"),
        ("clear_gray", np.dstack([GRAY, ALPHA]), "LA"),
        ("black_and_white", GRAY > 127, "L"),
        ("one_pixel", COLOURS[:1, :1], "RGB"),
    ],
)
def test_a_network_that_changes_nothing_gives_a_file_back(
    tmp_path: Path, name: str, pixels: np.ndarray, mode: str
) -> None:
    with restored(saved(tmp_path / f"{name}.png", pixels), tmp_path / "answer.png") as answer:
        assert answer.mode == mode
        expected = 255 * pixels.astype(np.uint8) if pixels.dtype == bool else pixels
        np.testing.assert_array_equal(np.asarray(answer), expected)


def test_palettes_turns_and_profiles_are_kept_as_they_are_seen(tmp_path: Path) -> None:
    palette = Image.fromarray(COLOURS).quantize(16)
    palette.save(tmp_path / "palette.png")
    with restored(tmp_path / "palette.png", tmp_path / "answer.png") as answer:
        np.testing.assert_array_equal(np.asarray(answer), np.asarray(palette.convert("RGB")))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    saved(tmp_path / "turned.png", COLOURS, exif=exif, icc_profile=profile)
    with restored(tmp_path / "turned.png", tmp_path / "answer.png") as answer:
        np.testing.assert_array_equal(np.asarray(answer), np.rot90(COLOURS, -1))
        assert answer.info["icc_profile"] == profile
        assert not answer.getexif().get(0x0112)


def test_a_profile_of_inks_is_not_given_to_an_answer_in_colours(tmp_path: Path) -> None:
    inks = Image.fromarray(COLOURS).convert("CMYK")
    inks.save(tmp_path / "inks.tif", icc_profile=b"of inks")
    with restored(tmp_path / "inks.tif", tmp_path / "answer.png") as answer:
        np.testing.assert_array_equal(np.asarray(answer), np.asarray(inks.convert("RGB")))
        assert "icc_profile" not in answer.info


def test_an_answer_is_a_jpeg_where_its_name_says_so(tmp_path: Path) -> None:
    smooth = np.linspace(0, 255, 40 * 30 * 3).reshape(40, 30, 3).astype(np.uint8)
    with restored(saved(tmp_path / "in.jpg", smooth, quality=95), tmp_path / ".out.jpg.partial") as answer:
        assert (answer.format, answer.size) == ("JPEG", (30, 40))
        assert np.abs(np.asarray(answer).astype(int) - smooth).max() < 12
    photo = read_photo(saved(tmp_path / "clear.png", np.dstack([COLOURS, ALPHA])))
    for name, message in (("out.jpg", "no transparency"), ("out.webp", r"\.png or \.jpg, not as \.webp")):
        with pytest.raises(BenchmarkError, match=message):
            write_photo(tmp_path / name, photo, photo.colours)
        assert not (tmp_path / name).exists()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_what_would_come_back_coarser_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    deep_gray = saved(tmp_path / "deep_gray.png", np.full((4, 4), 40000, np.uint16))
    floats = saved(tmp_path / "floats.tif", np.zeros((4, 4), np.float32))
    deep_colours = tmp_path / "deep.png"
    with rasterio.open(deep_colours, "w", driver="PNG", height=4, width=5, count=3, dtype="uint16") as file:
        file.write(np.full((3, 4, 5), 40000, np.uint16))
    deep_tiff = tmp_path / "deep.tif"
    with rasterio.open(
        deep_tiff, "w", driver="GTiff", height=4, width=5, count=3, dtype="uint16", photometric="rgb"
    ) as file:
        file.write(np.full((3, 4, 5), 40000, np.uint16))
    deep_portable = tmp_path / "deep.ppm"
    deep_portable.write_bytes(b"P6\n5 4\n1023\n" + np.full((4, 5, 3), 700, ">u2").tobytes())
    for path in (deep_gray, floats, deep_colours, deep_tiff, deep_portable):
        with pytest.raises(BenchmarkError, match="more than 8 bits a channel"):
            read_photo(path)
    first, second = (Image.fromarray(each) for each in (COLOURS, COLOURS[::-1]))
    first.save(tmp_path / "moving.gif", save_all=True, append_images=[second])
    with pytest.raises(BenchmarkError, match="2 frames"):
        read_photo(tmp_path / "moving.gif")
    (tmp_path / "text.png").write_text("no image")
    cut = saved(tmp_path / "cut.png", COLOURS)
    cut.write_bytes(cut.read_bytes()[:-400])
    for name in ("text.png", "cut.png"):
        with pytest.raises(BenchmarkError, match=f"{name} cannot be read as an image"):
            read_photo(tmp_path / name)


def test_a_run_answers_photographs_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["task=restoration", "scale=smoke", "method=prod", "data.samples=8", "data.patch=16", "data.val_samples=2",
             "model.width=8", "companions=false", "report=false", "profile=none", "trainer.progress=false"]  # fmt: skip
    assert main(words) == 0
    saved(tmp_path / "photo.jpg", COLOURS, quality=90)
    (tmp_path / "out").mkdir()
    assert main(["predict", "latest", "photo.jpg", "out/"]) == 0
    with Image.open(tmp_path / "out" / "photo.png") as answer:
        assert (answer.mode, answer.size) == ("RGB", (21, 13))
    assert main(["predict", "latest", "missing.jpg", "out/"]) == 1
    assert "missing.jpg is not there" in capsys.readouterr().err
