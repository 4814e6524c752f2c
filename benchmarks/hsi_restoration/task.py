"""Hyperspectral restoration: a noisy, coarse or incomplete cube in, a clean one out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, mse_loss

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.errors import BenchmarkError
from benchmarks.hsi_restoration.metrics import METRICS, UNIT
from benchmarks.hsi_restoration.tiles import groups_of, observation_of, outputs_of, reduced_outputs_of
from benchmarks.models.hsi_restoration.build import build
from benchmarks.models.hsi_restoration.observation import Observation, Restoration
from benchmarks.models.hsi_restoration.one_step import denoised
from benchmarks.models.hsi_restoration.published import load_published
from benchmarks.models.hsi_restoration.schedules import signal_shares
from benchmarks.models.hsi_restoration.unet import UNet
from benchmarks.solver import Solver
from benchmarks.task import Batch, Outputs, Task


class Restorer(Protocol):
    """What the task asks of a solver."""

    def restore(self, observations: list[Observation]) -> list[Restoration]: ...


class HSIRestoration(Task):
    """Cubes `noisy` in tiles, of which a group is a cube (see `datasets.readers.cube_tiles`); `clean` is for the metrics alone.

    A diffusion prior is trained on colour images `image` uint8 [n, p, p, 3]: squares of `crop` pixels, mirrored, turned and of
    half the resolution at random, channels in any order and as dark as `darkest` of their brightness, since bands are darker
    than photographs. The loss is the mean squared error of the noise, levels of the exponential schedule with `decay`
    being equally likely. These settings are about training alone.
    """

    metrics = METRICS
    unit = UNIT
    target_names = ("clean",)
    whole_groups = True

    def __init__(self, crop: int = 32, darkest: float = 0.3, decay: float = 8.0) -> None:
        super().__init__()
        if crop < 8 or not 0 < darkest <= 1 or decay <= 0:
            raise BenchmarkError(
                f"task.crop={crop} task.darkest={darkest} task.decay={decay} is not valid: crop is 8 or more, darkest a share "
                "up to 1, decay above 0."
            )
        self.crop, self.darkest, self.decay = crop, darkest, decay

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        return build(model, **settings)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        if "image" not in batch:
            raise BenchmarkError(
                "A prior is trained on colour images and never on cubes. Type method=prior data=rgb_photos, or method=hir_diff "
                "for one that is trained where the store lacks it."
            )
        clean = self.seen(batch["image"])
        shares = torch.from_numpy(signal_shares("exp", self.decay)).to(clean)
        share = shares[torch.randint(len(shares), (len(clean),)).to(clean.device)]
        noise = torch.randn(clean.shape).to(clean)
        wide = share[:, None, None, None]
        return mse_loss(network(wide.sqrt() * clean + (1 - wide).sqrt() * noise, share.sqrt()), noise)

    def seen(self, image: Tensor) -> Tensor:
        """What a step of training sees of images uint8 [n, p, p, 3]: [n, 3, crop, crop] from -1 to 1."""
        side = image.shape[1]
        if self.crop > side:
            raise BenchmarkError(
                f"task.crop={self.crop} is larger than the images, {side} x {side}. Type task.crop={side}."
            )
        made = []
        for one in image:
            levels = one.permute(2, 0, 1).float() / 255
            if side >= 2 * self.crop and torch.rand(()) < 0.5:
                levels = avg_pool2d(levels, 2)
            row, column = (int(torch.randint(size - self.crop + 1, ())) for size in levels.shape[1:])
            levels = levels[torch.randperm(3), row : row + self.crop, column : column + self.crop]
            levels = torch.rot90(levels, int(torch.randint(4, ())), (1, 2))
            if torch.rand(()) < 0.5:
                levels = levels.flip(2)
            made.append(levels * float(self.darkest + (1 - self.darkest) * torch.rand(())))
        return 2 * torch.stack(made) - 1

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        """`restored` and what else the metrics read; a prior by itself denoises in one step (see `one_step`)."""
        # Guidance takes gradients by its input, which inference mode would not give.
        with torch.inference_mode(False), torch.no_grad():
            batch = {name: column.clone() for name, column in batch.items()}
            groups = groups_of(batch)
            observations = [observation_of(batch, rows) for rows in groups]
            if isinstance(network, UNet):
                restored = denoised(network, observations)
            else:
                restored = cast(Restorer, network).restore(observations)
            return reduced_outputs_of(batch, restored) if "inner" in batch else outputs_of(batch, groups, restored)

    def pictures(
        self, solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path
    ) -> Mapping[str, Sequence[int] | np.ndarray]:
        """Three bands of up to four cubes: as they were seen, restored, and clean, and the error of all bands."""
        from benchmarks.hsi_restoration.pictures import draw

        return draw(fold, samples, folder)

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """A cube of any GDAL format, in its own units; a run of lower resolution raises that of the file.

        A large one is surveyed here and then read tile by tile (see `surveyed`, `tiled`).
        """
        from benchmarks.hsi_restoration.rasters import read_raster

        return read_raster(path, schema.get("factor", 1))

    def answer_name(self, path: Path) -> str:
        return f"{path.stem}.tif"

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """A GeoTIFF with the georeference, nodata, band tags, type and units of the file (see `rasters`)."""
        from benchmarks.hsi_restoration.rasters import write_raster

        write_raster(path, raw, outputs)

    def load_weights(self, network: nn.Module, path: Path) -> None:
        load_published(cast(UNet, network), path)
