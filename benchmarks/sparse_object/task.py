"""Sparse object segmentation: a gray image in, the probability of an object at every pixel out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, mse_loss

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.errors import BenchmarkError
from benchmarks.models.padding import padded
from benchmarks.models.sparse_object.build import NETWORKS, build
from benchmarks.models.sparse_object.contrast import channels_last
from benchmarks.models.sparse_object.fused import fuse
from benchmarks.segmentation.crops import flipped, squares
from benchmarks.segmentation.pixels import THRESHOLD
from benchmarks.solver import Solver
from benchmarks.sparse_object.metrics import CURVES, METRICS, UNIT
from benchmarks.sparse_object.supervision import earlier_objects, nuclear_share, stages_of
from benchmarks.task import Batch, Outputs, Task

UNSCALED: dict[str, Any] = {"centre": 0.0, "spread": 255.0}
"""How solvers see gray levels, whatever the data set's constants: from 0 to 1."""


class Segmenter(Protocol):
    """What the task asks of a network or solver beside its answer: how it sees gray levels, what training crops to.

    Whole images have zeros beside them where their sides are no multiples of `multiple`.
    """

    centre: float
    spread: float
    crop: int
    multiple: int

    def answer(self, image: Tensor) -> dict[str, Tensor]: ...


class SparseObject(Task):
    """Objects `mask` [n, h, w] in images `image` uint8 [n, h, w]; nothing is scored outside of a `field` of view.

    Networks see (level - centre) / spread, with constants of the data set. With `flips`, training images are mirrored in
    both directions and transposed at random; they are cut to squares of `crop` pixels (0: of what the data set says), of
    which a share of `positives` is laid around a pixel of an object. In the loss, `fidelity` is the weight of the
    reconstruction and `bce` that of the cross entropy of all pixels. Of unfolded networks more may be asked: objects of the
    stage before the last count `deep_supervision` as much as its own, those before that the square of it, and so on;
    `lowrank_penalty` is the weight of the share of full rank of the backgrounds, the mean over stages. These settings are
    about training alone.
    """

    metrics = METRICS
    curves = CURVES
    unit = UNIT
    target_names = ("mask", "field")

    def __init__(
        self,
        flips: bool = True,
        fidelity: float = 0.01,
        bce: float = 0.0,
        crop: int = 0,
        positives: float = 0.5,
        deep_supervision: float = 0.0,
        lowrank_penalty: float = 0.0,
    ) -> None:
        super().__init__()
        if not 0 <= positives <= 1 or min(fidelity, bce, crop) < 0:
            raise BenchmarkError(
                f"task.fidelity={fidelity} task.bce={bce} task.crop={crop} task.positives={positives} is not valid: the first "
                "three are 0 or more, and positives is a share from 0 to 1."
            )
        self.flips, self.fidelity, self.bce, self.crop, self.positives = flips, fidelity, bce, crop, positives
        self.deep_supervision, self.lowrank_penalty = deep_supervision, lowrank_penalty

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        network = build(model, **settings)
        seen = cast(Segmenter, network)
        scale = schema if model in NETWORKS else UNSCALED
        if self.crop and self.crop > min(schema["height"], schema["width"]):
            raise BenchmarkError(
                f"task.crop={self.crop} is larger than the images, {schema['height']} x {schema['width']}. Type task.crop=0."
            )
        seen.centre, seen.spread, seen.crop = scale["centre"], scale["spread"], self.crop or schema["crop"]
        seen.multiple = scale.get("multiple", 1)
        # Convolutions of few channels are nearly twice as fast on a CPU where the channels of a pixel lie side by side.
        return channels_last(network)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """One less the soft IoU of each image, averaged, and what else the settings weigh."""
        seen = cast(Segmenter, network)
        image, mask = scaled(seen, batch["image"]), batch["mask"][:, None].to(torch.float32)
        if seen.crop:
            image, mask = squares(image, mask, seen.crop, self.positives)
        if self.flips:
            image, mask = flipped(image, mask)
        staged = self.deep_supervision or self.lowrank_penalty
        stages = stages_of(network, image) if staged else []
        objects, reconstruction = (stages[-1].objects, stages[-1].image) if staged else network(image)
        loss = soft_iou_loss(objects, mask)
        if self.bce:
            loss = loss + self.bce * binary_cross_entropy_with_logits(objects.to(torch.float32), mask)
        if reconstruction is not None:
            loss = loss + self.fidelity * mse_loss(reconstruction, image)
        if self.deep_supervision:
            loss = loss + earlier_objects(stages, self.deep_supervision, lambda objects: soft_iou_loss(objects, mask))
        if self.lowrank_penalty:
            shares = torch.stack([nuclear_share(stage.background) for stage in stages])
            loss = loss + self.lowrank_penalty * shares.mean()
        return loss

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        seen = cast(Segmenter, network)
        height, width = batch["image"].shape[1:]
        found = seen.answer(padded(scaled(seen, batch["image"]), seen.multiple, mode="constant"))
        return {**found, "probability": found["probability"][:, :height, :width]}

    def example(self, schema: Mapping[str, Any], size: int) -> Batch:
        """Noise of the images' size."""
        generator = torch.Generator().manual_seed(0)
        shape = (size, schema["height"], schema["width"])
        return {"image": torch.randint(256, shape, generator=generator, dtype=torch.uint8)}

    def fused(self, network: nn.Module) -> nn.Module:
        """Normalisation and gates merged, wide kernels by Fourier transforms (see `fuse`)."""
        return fuse(network)

    def load_weights(self, network: nn.Module, path: Path) -> None:
        from benchmarks.models.sparse_object.published import load_published

        load_published(network, path)

    def pictures(
        self, solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path
    ) -> Mapping[str, Sequence[int] | np.ndarray]:
        """What was detected in four images, and what every stage of an unfolded network makes of one."""
        from benchmarks.sparse_object.pictures import draw

        return draw(solver, fold, samples, folder)

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """An image of any format and size, as it is; a TIFF as a raster that may lie on the ground (see `rasters`)."""
        from benchmarks.datasets.readers.object_masks import read_gray
        from benchmarks.sparse_object.rasters import is_raster, read_raster

        raw = read_raster(path) if is_raster(path) else None
        image = read_gray(path) if raw is None else raw.levels
        return raw, Split({"image": image[None]}, np.array([path.stem]), np.array([path.stem]))

    def answer_name(self, path: Path) -> str:
        from benchmarks.sparse_object.rasters import is_raster

        return path.name if is_raster(path) else f"{path.stem}.png"

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """The probability of an object as gray levels from 0 to 255, a PNG of the image's size; of a raster, a GeoTIFF."""
        from PIL import Image

        from benchmarks.sparse_object.rasters import write_raster

        probability = outputs["probability"][0]
        if raw is not None:
            return write_raster(path, raw, probability, THRESHOLD)
        levels = np.rint(255 * probability.clip(0, 1)).astype(np.uint8)
        Image.fromarray(levels).save(path, format="PNG")
        return None


def scaled(network: Segmenter, image: Tensor) -> Tensor:
    """Gray levels [n, h, w] as a network sees them, [n, 1, h, w]."""
    return (image[:, None].to(torch.float32) - network.centre) / network.spread


def soft_iou_loss(logits: Tensor, mask: Tensor) -> Tensor:
    """1 - (intersection + 1) / (union + 1) of sigmoid(logits) and mask [n, 1, h, w], the mean over images.

    Without objects in an image this rewards silence: 1 - 1 / (sum of probabilities + 1).
    """
    soft = torch.sigmoid(logits.to(torch.float32))  # in bfloat16 a sure false alarm would be 1, which has no gradient
    shared = (soft * mask).sum((1, 2, 3))
    union = soft.sum((1, 2, 3)) + mask.sum((1, 2, 3)) - shared
    return 1 - ((shared + 1) / (union + 1)).mean()
