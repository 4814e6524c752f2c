"""Medical segmentation: an image in, the probability that a pixel belongs to the organ, vessel or membrane out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pad

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.errors import BenchmarkError
from benchmarks.medseg.calibration import fit_temperature
from benchmarks.medseg.classes import by_class, most_probable
from benchmarks.medseg.losses import dice_loss, focal_loss, with_background
from benchmarks.medseg.metrics import METRICS, UNIT
from benchmarks.models.medseg.build import build
from benchmarks.models.medseg.promptable import Promptable, load_published
from benchmarks.models.padding import padded
from benchmarks.segmentation.crops import flipped, squares
from benchmarks.solver import Solver
from benchmarks.task import Batch, Outputs, Task


class Segmenter(Protocol):
    """What the task asks of a network: sides that are multiples of `multiple`; the task says what it sees of an image.

    `shrink` is by how much images are made smaller, `crop` the side of what training sees of them, both in their pixels.
    """

    multiple: int
    shrink: int
    crop: int


class MedSeg(Task):
    """Objects `mask` [n, h, w] in images `image` uint8 [n, h, w] or [n, h, w, 3]; outside of a `field` nothing is scored.

    Masks are bool or, of several classes, their numbers from 1 (see `classes`); networks give a logit a class, beside 0 for what
    is none of them.

    Networks see levels from 0 to 1, the smallest and the largest of each image, in means of `shrink` x `shrink` pixels; their
    logits are brought back to the image's own pixels. With `flips`, training images are mirrored in both directions and
    transposed at random; they are cut to squares of `crop` pixels (0: of what the data set says), of which a share of
    `positives` is laid around a pixel of an object. The loss is that of Dice and, of equal weight, the focal one of
    `focal_gamma` and `focal_alpha`: with 0 and null the cross entropy, after which probabilities are best calibrated.
    """

    metrics = METRICS
    unit = UNIT
    target_names = ("mask", "field")

    def __init__(
        self,
        flips: bool = True,
        crop: int = 0,
        positives: float = 0.5,
        focal_gamma: float = 0.0,
        focal_alpha: float | None = None,
        double_sigmoid: bool = False,
    ) -> None:
        super().__init__()
        alpha = 0.5 if focal_alpha is None else focal_alpha
        if not (0 <= positives <= 1 and 0 <= alpha <= 1) or min(focal_gamma, crop) < 0:
            raise BenchmarkError(
                f"task.crop={crop} task.positives={positives} task.focal_gamma={focal_gamma} task.focal_alpha={focal_alpha} is "
                "not valid: crop and focal_gamma are 0 or more, positives and focal_alpha shares from 0 to 1."
            )
        self.flips, self.crop, self.positives = flips, crop, positives
        self.focal = (focal_gamma, focal_alpha, double_sigmoid)

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        classes = {"classes": schema["classes"]} if "classes" in schema else {}
        network = build(model, **settings, **classes)
        seen = cast(Segmenter, network)
        if self.crop > min(schema["height"], schema["width"]):
            raise BenchmarkError(
                f"task.crop={self.crop} is larger than the images, {schema['height']} x {schema['width']}. Type task.crop=0."
            )
        seen.shrink, seen.crop = schema.get("shrink", 1), self.crop or schema["crop"]
        # Of the probabilities, see `calibration`; 1 says that nothing is known.
        network.register_buffer("temperature", torch.ones(()))
        network.register_load_state_dict_pre_hook(_unknown_temperature)
        return network

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        seen = cast(Segmenter, network)
        image, mask = levels(batch["image"]), batch["mask"][:, None].to(torch.float32)
        if seen.crop:
            image, mask = squares(image, mask, seen.crop, self.positives)
        if self.flips:
            image, mask = flipped(image, mask)
        image = padded(shrunk(image, seen.shrink), seen.multiple, mode="constant")
        logits = network(image).float()
        numbers = torch.arange(1, logits.shape[1] + 1, device=mask.device)[:, None, None]
        objects = shrunk((mask == numbers).to(logits.dtype), seen.shrink).ge(0.5).to(logits.dtype)
        objects = padded(objects, seen.multiple, mode="constant")
        return dice_loss(with_background(logits)[:, 1:], objects) + focal_loss(logits, objects, *self.focal)

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        seen = cast(Segmenter, network)
        image = levels(batch["image"])
        small = shrunk(image, seen.shrink)
        logits = network(padded(small, seen.multiple, mode="constant"))[
            :, :, : small.shape[2], : small.shape[3]
        ].float()
        if seen.shrink > 1:
            logits = interpolate(logits, scale_factor=seen.shrink, mode="bilinear", align_corners=False)
        temperature = network.get_buffer("temperature").float().expand(len(logits))
        return {
            "probability": with_background(logits)[:, 1:, : image.shape[2], : image.shape[3]].squeeze(1),
            "temperature": temperature,
        }

    def calibrate(self, network: nn.Module, samples: Mapping[str, np.ndarray]) -> None:
        """Sets the temperature at which the probabilities of validation have the least cross entropy."""
        found = fit_temperature(samples["probability"], samples["mask"], samples.get("field"))
        network.get_buffer("temperature").fill_(found)

    def example(self, schema: Mapping[str, Any], size: int) -> Batch:
        """Noise of the images' size and channels."""
        generator = torch.Generator().manual_seed(0)
        shape = (size, schema["height"], schema["width"], *((3,) if schema.get("colour") else ()))
        return {"image": torch.randint(256, shape, generator=generator, dtype=torch.uint8)}

    def load_weights(self, network: nn.Module, path: Path) -> None:
        if not isinstance(network, Promptable):
            return super().load_weights(network, path)
        return load_published(network, path)

    def pictures(
        self, solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path
    ) -> Mapping[str, Sequence[int] | np.ndarray]:
        """What was found, missed and marked wrongly in four images."""
        from benchmarks.medseg.pictures import draw

        return draw(fold, samples, folder)

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """An image of any format and size, in colours or gray as the data set's images are."""
        from benchmarks.datasets.readers.object_masks import read_colours, read_gray

        image = read_colours(path) if schema.get("colour") else read_gray(path)
        return None, Split({"image": image[None]}, np.array([path.stem]), np.array([path.stem]))

    def answer_name(self, path: Path) -> str:
        return f"{path.stem}.png"

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """A PNG of the image's size: the probability of an object from 0 to 255; of several classes, the likeliest's number."""
        from PIL import Image

        soft = by_class(outputs["probability"])
        numbers = most_probable(soft)[0].argmax(0) + most_probable(soft)[0].any(0)
        shown = (
            np.rint(255 * soft[0, 0].clip(0, 1)).astype(np.uint8) if soft.shape[1] == 1 else numbers.astype(np.uint8)
        )
        Image.fromarray(shown).save(path, format="PNG")


def _unknown_temperature(network: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Weights from elsewhere, or from before there were temperatures, have none."""
    state.setdefault(f"{prefix}temperature", torch.ones(()))


def levels(image: Tensor) -> Tensor:
    """Images uint8 [n, h, w] or [n, h, w, 3] from 0, their smallest level, to 1, their largest: [n, 3, h, w]."""
    image = image[..., None].expand(*image.shape, 3) if image.ndim == 3 else image
    image = image.permute(0, 3, 1, 2).to(torch.float32)
    low, high = (image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True))
    return (image - low) / torch.where(high > low, high - low, 1)


def shrunk(image: Tensor, by: int) -> Tensor:
    """Means of `by` x `by` pixels, [n, c, h, w] -> [n, c, h / by, w / by] rounded up; edges are repeated outwards."""
    if by == 1:
        return image
    height, width = image.shape[2:]
    return avg_pool2d(pad(image, (0, -width % by, 0, -height % by), mode="replicate"), by)
