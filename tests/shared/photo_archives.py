"""Archives of made-up photographs, and the parts of what is read from them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.datasets.bundle import Fold, Split

SIZE = (20, 24)


def picture(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*(shape or SIZE), 3), np.uint8)


def encoded(pixels: np.ndarray, name: str) -> bytes:
    buffer = io.BytesIO()
    kind = "JPEG" if name.lower().endswith(("jpg", "jpeg")) else "PNG"
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def zipped(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._junk_real.png", b"junk")
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def images(*paths: str) -> dict[str, bytes]:
    return {path: encoded(picture(number), path) for number, path in enumerate(paths)}


def parts_of(fold: Fold) -> list[Split]:
    return [fold.training.train, fold.training.val, fold.test]
