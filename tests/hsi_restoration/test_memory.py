"""What a large scene takes of memory: windows of the cube, which do not grow with it, and a few images of the scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from benchmarks.datasets.rasters import BLOCKS_BYTES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BANDS, BLOCK = 200, 256
SMALL, WIDE = (704, 480), (704, 960)
"""Just large enough to be restored tile by tile, and twice that."""
LIMIT, LARGE_SIDE = 6 * 1024**3, 4000
A_PIXEL = 3 * 4 * (1.4 + 1) + 4 + 1
"""Bytes for each pixel of a scene: reduced images in tiles that overlap (some 1.31 pixels for each) and blended, the weights of
blending, and where there are no data."""
SLACK = 64 * 1024**2
"""By what two runs differ anyway. Even in two bytes a number, the pixels that WIDE has more would take 129 MiB."""

CHILD = """
import resource, sys
from pathlib import Path
import torch
import benchmarks.datasets.rasters as files
from benchmarks.hsi_restoration import rasters
from benchmarks.hsi_restoration.task import HSIRestoration
from benchmarks.inference import answers
from benchmarks.models.hsi_restoration.build import build
from benchmarks.solver import NetworkSolver

files.BLOCKS_BYTES = rasters.BLOCKS_BYTES = 2**24
torch.set_num_threads(1)
torch.manual_seed(0)
task = HSIRestoration()
prior = {"base": 16, "mults": (1, 2, 2), "res_blocks": 1, "groups": 8, "middle_attention": True}
network = build(sys.argv[3], **({"prior": prior, "steps": 1} if sys.argv[3] == "hir_diff" else {}))
raw, split = task.read_input(Path(sys.argv[1]), {})
task.write_output(Path(sys.argv[2]), raw, answers(NetworkSolver(task, network, {}), split, 8))
print(len(split), 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def generate(path: Path, height: int, width: int) -> None:
    """A scene uint16 in tiles of one pattern, the last rows of tiles without data."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:BLOCK, :BLOCK] / 50
    maps = np.stack([1 + np.sin(x), 1 + np.cos(y), 1.0 * (np.sin(x * y) > 0)])
    clean = np.tensordot(random.uniform(50, 200, (BANDS, 3)), maps, 1)
    block = (clean + 20 * random.standard_normal(clean.shape, np.float32) + 200).astype(np.uint16)
    with rasterio.open(path, "w", driver="GTiff", count=BANDS, height=height, width=width, dtype="uint16", nodata=0,
                       crs="EPSG:32633", tiled=True, blockxsize=BLOCK, blockysize=BLOCK) as file:  # fmt: skip
        for top in range(0, height - BLOCK, BLOCK):
            for left in range(0, width, BLOCK):
                wide = min(BLOCK, width - left)
                file.write(block[:, :, :wide], window=Window(left, top, wide, BLOCK))


def peak(method: str, scene: Path) -> int:
    """Bytes that a process of its own takes to restore a scene, into `out.tif` beside it."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(scene), str(scene.with_name("out.tif")), method],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tiles, taken = map(int, done.stdout.split())
    print(f"{method}, {scene.stem}: {tiles} tiles, {taken / 2**30:.2f} GiB")
    assert tiles > 1
    return taken


def test_a_scene_of_4000_by_4000_pixels_and_200_bands_fits_into_6_gib(tmp_path: Path) -> None:
    """Windows of the cube are the same for a larger scene, so that only images of it grow. That they do is seen with a method
    that takes a moment for a tile, between two scenes; what HIR-Diff takes beside them, on the smaller one. GDAL's cache, which
    neither scene fills, is kept small and added in full."""
    scenes = {"small": SMALL, "wide": WIDE}
    for name, shape in scenes.items():
        generate(tmp_path / f"{name}.tif", *shape)
    few, many = (peak("svd_truncate", tmp_path / f"{name}.tif") for name in scenes)
    assert many - few < A_PIXEL * (np.prod(WIDE) - np.prod(SMALL)) + SLACK
    expected = peak("hir_diff", tmp_path / "small.tif") + A_PIXEL * (LARGE_SIDE**2 - np.prod(SMALL)) + BLOCKS_BYTES
    print(f"of {LARGE_SIDE} x {LARGE_SIDE} pixels {expected / 2**30:.2f} GiB")
    assert expected < LIMIT
    with rasterio.open(tmp_path / "out.tif") as file:
        assert (file.count, file.shape, file.dtypes[0]) == (BANDS, SMALL, "uint16")
        assert not file.read_masks(1, window=Window(0, SMALL[0] - 100, SMALL[1], 100)).any()
        assert file.read_masks(BANDS, window=Window(0, 0, SMALL[1], 2 * BLOCK)).all()
