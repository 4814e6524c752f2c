"""BM3D and BM4D of their authors' packages, which are for non-commercial use: filters of blocks that look alike."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.errors import BenchmarkError

Denoiser = Callable[[Any, float], Any]
"""Of an array and the deviation of its noise."""


def block_matching(package: str, search: Any, stages: int) -> Denoiser:
    """What the package `bm3d` makes of an image [h, w] or `bm4d` of a volume [h, w, c], in double precision.

    `search` is the package's search window for blocks that look alike. Of its two `stages` the second filters once more with
    the answer of the first as a guide. On one thread, so that equal arrays have equal answers. Raises ValueError for stages
    that there are not, BenchmarkError where the package is not installed.
    """
    if stages not in (1, 2):
        raise ValueError(f"stages={stages}: block matching has 1 or 2")
    try:
        module = import_module(package)
    except ImportError as error:
        raise BenchmarkError(
            f"{package.upper()} needs the package {package}, for non-commercial use ({error}). "
            f"Type: pip install 'lowrank-benchmarks[{package}]'"
        ) from error
    profile = getattr(module, f"{package.upper()}Profile")()
    profile.num_threads = 1
    profile.search_window_ht = profile.search_window_wiener = search
    names = getattr(module, f"{package.upper()}Stages")
    stage = names.ALL_STAGES if stages == 2 else names.HARD_THRESHOLDING
    filtered = getattr(module, package)
    return lambda array, deviation: filtered(array, deviation, profile=profile, stage_arg=stage)
