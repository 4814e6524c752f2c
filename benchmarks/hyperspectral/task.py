"""Land cover from spectral images: a cube of any bands in, the class of every pixel out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from benchmarks.datasets.bundle import Fold, Split
from benchmarks.errors import BenchmarkError, unknown
from benchmarks.hyperspectral.metrics import IGNORED, METRICS, UNIT
from benchmarks.hyperspectral.mosaic import mosaic
from benchmarks.models.hyperspectral.build import build
from benchmarks.models.hyperspectral.spectra import SHOWN, standard_normal_variate
from benchmarks.segmentation.crops import flipped
from benchmarks.solver import Solver
from benchmarks.task import Batch, Outputs, Task


class Segmenter(Protocol):
    """What the task asks of a network: any bands, given their wavelengths, and sides that are multiples of `multiple`.

    `window` is the side of what it was trained on, by which larger images are cut, and `trained` the wavelengths.
    """

    multiple: int
    window: int
    trained: list[float]

    def __call__(self, cube: Tensor, wavelengths: Tensor) -> Tensor: ...


class Hyperspectral(Task):
    """Classes `label` uint8 [n, h, w] (255: does not count) in standardised cubes `cube` [n, c, h, w].

    `bands` [n, c] are wavelengths in nanometres, NaN behind the last band of a sample, so that a batch may hold several
    layouts. With `flips`, training windows are mirrored in both directions and transposed at random; with `keep` below 1 every
    step sees that share of the bands, drawn anew. The loss is the cross entropy of the pixels that count. Larger images are
    answered by windows that share a part of `overlap` with the next one; logits are averaged where they do. Everything that
    learns or answers is given what `seen` makes of a cube: with `spectra` "snv", the shape of every spectrum alone.
    """

    metrics = METRICS
    unit = UNIT
    target_names = ("label", "classes")

    def __init__(
        self, flips: bool = True, keep: float = 1.0, overlap: float = 0.25, spectra: str = "standardised"
    ) -> None:
        super().__init__()
        if spectra not in SHOWN:
            raise unknown("task.spectra", spectra, SHOWN)
        if not (0 <= overlap < 1 and 0 < keep <= 1):
            raise BenchmarkError(
                f"task.overlap={overlap} task.keep={keep} is not valid: the first is a share from 0 to less than 1, the "
                "second one from more than 0 to 1. Type task.overlap=0.25 task.keep=1.0."
            )
        self.flips, self.keep, self.overlap, self.spectra = flips, keep, overlap, spectra

    def seen(self, cube: Tensor) -> Tensor:
        """What is shown of cubes [n, c, h, w] of all bands that there are; raises BenchmarkError for one band without a shape."""
        if self.spectra == "standardised":
            return cube
        try:
            return standard_normal_variate(cube)
        except ValueError as error:
            raise BenchmarkError(f"task.spectra={self.spectra}: {error}. Type task.spectra=standardised.") from error

    def network(self, model: str, settings: Mapping[str, Any], schema: Mapping[str, Any]) -> nn.Module:
        facts = {
            "classes": len(schema["classes"]),
            "window": schema["window"],
            "wavelengths": schema["trained"],
            "wavelength_range": (min(schema["wavelengths"]), max(schema["wavelengths"])),
            "gsd": schema.get("gsd"),  # runs that were made before schemas had it name it in their settings
        }
        typed = {key: value for key, value in settings.items() if value is not None or key not in facts}
        network = build(model, **{**facts, **typed})
        segmenter = cast(Segmenter, network)
        segmenter.window, segmenter.trained = schema["window"], schema["trained"]
        return network

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        cube, label = batch["cube"], batch["label"][:, None]
        if self.flips:
            cube, label = flipped(cube, label.to(cube.dtype))
        bands = batch["bands"][0]
        given = bands.isfinite().nonzero()[:, 0]
        if self.keep < 1:
            count = max(1, round(self.keep * len(given)))
            given = given[torch.randperm(len(given), device=given.device)[:count].sort().values]
        logits = network(self.seen(cube[:, given]), bands[given])
        return cross_entropy(logits.float(), label[:, 0].long(), ignore_index=IGNORED)

    def predict(self, network: nn.Module, batch: Batch) -> Outputs:
        segmenter = cast(Segmenter, network)
        cube = batch["cube"]
        if "bands" not in batch:  # windows of the bands of training, as an exported network takes them
            trained = torch.tensor(segmenter.trained, device=cube.device)
            return {"prediction": segmenter(self.seen(cube), trained).argmax(1).to(torch.uint8)}
        answer = torch.zeros(len(cube), *cube.shape[2:], dtype=torch.uint8, device=cube.device)
        layouts, which = batch["bands"].nan_to_num(-1.0).unique(dim=0, return_inverse=True)
        for number, bands in enumerate(layouts):
            rows, given = (which == number).nonzero()[:, 0], bands > 0
            logits = mosaic(segmenter, self.seen(cube[rows][:, given]), bands[given], self.overlap)
            answer[rows] = logits.argmax(1).to(torch.uint8)
        return {"prediction": answer}

    def example(self, schema: Mapping[str, Any], size: int) -> Batch:
        """Noise in windows of training, with the bands of training, which a program of fixed bands need not be told."""
        generator = torch.Generator().manual_seed(0)
        shape = (size, len(schema["trained"]), schema["window"], schema["window"])
        return {"cube": torch.rand(shape, generator=generator)}

    def load_weights(self, network: nn.Module, path: Path) -> None:
        from benchmarks.models.hyperspectral.backbone import Backbone
        from benchmarks.models.hyperspectral.backbone_checkpoint import load_checkpoint

        if not isinstance(network, Backbone):
            return super().load_weights(network, path)
        return load_checkpoint(network, path)

    def pictures(
        self, solver: Solver, fold: Fold, samples: Mapping[str, np.ndarray], folder: Path
    ) -> Mapping[str, Sequence[int] | np.ndarray]:
        """Label maps beside the truth under every layout, the mean spectrum of every class, and how far features spread."""
        from benchmarks.hyperspectral.pictures import draw

        return draw(solver, fold, samples, folder)

    def read_input(self, path: Path, schema: Mapping[str, Any]) -> tuple[Any, Split]:
        """A raster of any size with wavelengths of its own, as tiles that are read one by one (see `scenes`)."""
        from benchmarks.hyperspectral.scenes import read_scene

        return read_scene(path, schema)

    def write_output(self, path: Path, raw: Any, outputs: Mapping[str, np.ndarray]) -> None:
        """A GeoTIFF of class numbers at the place of the scene, with names and colours of the classes."""
        from benchmarks.hyperspectral.scenes import write_scene

        write_scene(path, raw, outputs["prediction"])
