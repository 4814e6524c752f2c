"""Image restoration: a degraded photograph in, the same without noise, rain, blur or artefacts of compression out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss

from benchmarks.datasets.bundle import DataBundle, Fold, Split
from benchmarks.datasets.prod import MODES
from benchmarks.errors import BenchmarkError, unknown
from benchmarks.models.restoration.build import build
from benchmarks.models.restoration.fused import fuse
from benchmarks.restoration.metrics import METRICS, UNIT, levels, mean_square
from benchmarks.restoration.tiles import restored
from benchmarks.segmentation.crops import flipped, squares
from benchmarks.solver import Solver
from benchmarks.task import Batch, Outputs, Task

Loss = Literal["psnr", "l1"]
WHITE = 255
TINY = 1e-8
"""What NAFNet adds to a mean squared error before the logarithm."""


class Restorer(Protocol):
    """What the task asks of a network: [n, 3, h, w] from 0 to 1 in and out, and the side of what training sees of an image."""

    crop: int


class Restoration(Task):
    """Degraded photographs `image` [n, h, w, 3], uint8 or float32 from 0 to 1, and what they should be, `clean` uint8.

    Training sees squares of `crop` pixels at random places (0: whole images; squares of a data set that makes them are whole),
    with `flips` mirrored in both directions and transposed at random. The loss is `psnr`, the mean over images of
    10 log10(MSE + 1e-8) in dB, or `l1`, the mean of absolute errors. What needs a base begins with a network pretrained on
    other photographs under the degradations `pretraining` (see `datasets.prod`). These settings are about training alone.
    """

    metrics = METRICS
    unit = UNIT
    target_names = ("clean", "input_mse")

    def __init__(self, loss: str = "psnr", crop: int = 64, flips: bool = True, pretraining: str = "prod") -> None:
        super().__init__()
        if loss not in get_args(Loss):
            raise unknown("task.loss", loss, get_args(Loss))
        if crop < 0:
            raise BenchmarkError(f"task.crop={crop} is not valid: it is 0 (whole images) or more.")
        if pretraining not in MODES:
            raise unknown("task.pretraining", pretraining, MODES)
        self.kind, self.crop, self.flips, self.pretraining = loss, crop, flips, pretraining

    def data(self, card_id: str, options: Mapping[str, Any]) -> DataBundle:
        """The data set, whose test images are told how far they are from clean ones: `gain` is counted from there."""
        bundle = super().data(card_id, options)
        return replace(bundle, folds=tuple(replace(fold, test=with_input_error(fold.test)) for fold in bundle.folds))

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        network = build(model, **settings)
        cast(Restorer, network).crop = 0 if "patch" in schema else self.crop
        return network

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        image, clean = shares(batch["image"]), shares(batch["clean"])
        if crop := cast(Restorer, network).crop:
            if crop > min(image.shape[2:]):
                size = f"{image.shape[2]} x {image.shape[3]}"
                raise BenchmarkError(f"task.crop={crop} is larger than the images, {size}. Type task.crop=0.")
            image, clean = squares(image, clean, crop, positives=0.0)
        if self.flips:
            image, clean = flipped(image, clean)
        answer = network(image).float()
        if self.kind == "l1":
            return l1_loss(answer, clean)
        errors = (answer - clean).square().mean((1, 2, 3))
        return 10 * torch.log10(errors + TINY).mean()

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        """`restored` [n, h, w, 3] as the images came: gray levels, half to even, or float32 cut to 0 to 1."""
        answer = restored(network, shares(batch["image"])).clamp(0, 1).permute(0, 2, 3, 1)
        if batch["image"].dtype == torch.uint8:
            answer = (WHITE * answer).round().to(torch.uint8)
        return {"restored": answer}

    def example(self, schema: Mapping[str, Any], size: int) -> Batch:
        """Noise in shares, so that the answers of an exported network are not rounded."""
        generator = torch.Generator().manual_seed(0)
        shape = (size, schema.get("height", 256), schema.get("width", 256), 3)
        return {"image": torch.rand(shape, generator=generator)}

    def fused(self, network: nn.Module) -> nn.Module:
        """NAFNet with betas and gammas in its matrices and pixels as rows of them (see `fuse`)."""
        return fuse(network)

    def load_weights(self, network: nn.Module, path: Path) -> None:
        from benchmarks.models.restoration.published import load_published

        load_published(network, path)

    def pictures(
        self, solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path
    ) -> Mapping[str, Sequence[int] | np.ndarray]:
        """Squares of four images as they were seen, restored and clean, and the ranks of layers where they differ."""
        from benchmarks.restoration.pictures import draw

        network = getattr(solver, "network", None)
        if "plan" in (adapted := getattr(network, "adapted", {})):
            from benchmarks.restoration.plan_picture import draw_plan

            draw_plan(adapted, cast(nn.Module, network), folder / "ranks.png")
        return draw(fold, samples, folder)

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """A photograph of any format and size with eight bits a channel (see `photos`)."""
        from benchmarks.restoration.photos import read_photo

        photo = read_photo(path)
        return photo, Split({"image": photo.colours[None]}, np.array([path.stem]), np.array([path.stem]))

    def answer_name(self, path: Path) -> str:
        return f"{path.stem}.png"

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """The restored photograph as PNG, or as JPEG where the name says so; gray and transparent as the file was."""
        from benchmarks.restoration.photos import write_photo

        write_photo(path, raw, outputs["restored"][0])


def shares(image: Tensor) -> Tensor:
    """Images [n, h, w, 3] of levels or shares -> shares [n, 3, h, w] float32."""
    image = image.permute(0, 3, 1, 2)
    return image.float() / WHITE if image.dtype == torch.uint8 else image.float()


def with_input_error(split: Split) -> Split:
    """The split with a column `input_mse` [n]: the mean squared error of its degraded images, in levels."""
    pairs = zip(split.columns["clean"], split.columns["image"], strict=True)
    found = np.array([mean_square(levels(clean), levels(image)) for clean, image in pairs])
    return replace(split, columns={**split.columns, "input_mse": found})
