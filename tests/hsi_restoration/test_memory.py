"""What a large scene takes of memory: windows of the cube, which do not grow with it, and a few images of the scene."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

BANDS, SIDE, BLOCK = 200, 1200, 256
LIMIT, LARGE_SIDE = 6 * 1024**3, 4000
A_PIXEL = 3 * 4 * (1.4 + 1) + 4 + 1
"""Bytes for each pixel of a scene: reduced images in tiles that overlap (some 1.31 pixels for each) and blended, the weights of
blending, and where there are no data."""

CHILD = """
import resource, sys
from pathlib import Path
import torch
from benchmarks.hsi_restoration.task import HSIRestoration
from benchmarks.inference import answers
from benchmarks.models.hsi_restoration.hir_diff import HIRDiff
from benchmarks.solver import NetworkSolver

torch.set_num_threads(1)
torch.manual_seed(0)
task = HSIRestoration()
network = HIRDiff({"base": 16, "mults": (1, 2, 2), "res_blocks": 1, "groups": 8, "middle_attention": True}, steps=1)
raw, split = task.read_input(Path(sys.argv[1]), {})
task.write_output(Path(sys.argv[2]), raw, answers(NetworkSolver(task, network, {}), split, 8))
print(len(split), 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def generate(path: Path) -> None:
    """A scene uint16 in tiles whose last rows of tiles are without data."""
    random = np.random.default_rng(0)
    spectra = random.uniform(50, 200, (BANDS, 3))
    with rasterio.open(path, "w", driver="GTiff", count=BANDS, height=SIDE, width=SIDE, dtype="uint16", nodata=0,
                       crs="EPSG:32633", tiled=True, blockxsize=BLOCK, blockysize=BLOCK) as file:  # fmt: skip
        for top in range(0, SIDE - BLOCK, BLOCK):
            for left in range(0, SIDE, BLOCK):
                y, x = np.mgrid[top : top + BLOCK, left : min(left + BLOCK, SIDE)] / 50
                clean = np.tensordot(spectra, np.stack([1 + np.sin(x), 1 + np.cos(y), 1.0 * (np.sin(x * y) > 0)]), 1)
                noisy = clean + 20 * random.standard_normal(clean.shape, np.float32) + 200
                file.write(noisy.astype(np.uint16), window=Window(left, top, x.shape[1], BLOCK))


def test_a_scene_of_4000_by_4000_pixels_and_200_bands_fits_into_6_gib(tmp_path: Path) -> None:
    """Measured on 1200 x 1200 pixels. Windows of the cube are the same for a larger scene, so that only images of it grow."""
    generate(tmp_path / "in.tif")
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "in.tif"), str(tmp_path / "out.tif")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    tiles, peak = map(int, done.stdout.split())
    expected = peak + A_PIXEL * (LARGE_SIDE**2 - SIDE**2)
    print(f"{tiles} tiles, {peak / 2**30:.2f} GiB; of {LARGE_SIDE} x {LARGE_SIDE} pixels {expected / 2**30:.2f} GiB")
    assert expected < LIMIT
    with rasterio.open(tmp_path / "out.tif") as file:
        assert (file.count, file.shape, file.dtypes[0]) == (BANDS, (SIDE, SIDE), "uint16")
        assert not file.read_masks(1, window=Window(0, SIDE - 100, SIDE, 100)).any()
        assert file.read_masks(BANDS, window=Window(0, 0, SIDE, 1000)).all()
