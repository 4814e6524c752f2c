"""Any network of timm, cut after an early stage, with bands as its input channels: the field's usual backbones as peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmarks.errors import BenchmarkError, nearest, unknown
from benchmarks.models.hyperspectral.encoder import grid_of
from benchmarks.models.hyperspectral.heads import ConvHead, LinearHead
from benchmarks.models.hyperspectral.own_bands import BandRule, OwnBands

HEADS = ("conv", "linear")


class Backbone(nn.Module):
    """Cubes [n, c, h, w] and wavelengths [c] -> logits [n, classes, h, w]; sides are multiples of `multiple`.

    Its channels are the bands of training, filled by `band_rule` from a cube of others (see `OwnBands`). Cubes are enlarged
    `scale` times (bilinear) and go through `network` of timm up to the feature map number `stage` of timm's `out_indices`; what
    comes after is cut off. A map that is `reduction` times smaller than what the network is given has patches of
    `reduction / scale` pixels, which the head answers. `scale` divides the reduction; None is the reduction itself, so that
    every pixel has a place of its own in the map.

    Networks begin at random, or with the file that `checkpoint` names, which whoever trains the network loads
    (`backbone_checkpoint`): a network that is restored has its weights from elsewhere. `checkpoint_bands` are the wavelengths
    in nm of the file's bands.
    """

    def __init__(
        self,
        classes: int,
        window: int,
        wavelengths: Sequence[float],
        network: str = "resnet18",
        stage: int = 1,
        scale: int | None = None,
        band_rule: BandRule = "nearest",
        head: str = "conv",
        head_width: int = 64,
        checkpoint: str | None = None,
        checkpoint_bands: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise unknown("head of model backbone:", head, HEADS)
        self.bands = OwnBands(wavelengths, band_rule)
        self.name, self.checkpoint_bands = network, checkpoint_bands
        self.body: Any = _whole(network, len(self.bands), window, scale)
        whole = self.body.state_dict().keys()
        dim, reduction, self.place = _cut(self.body, network, stage)
        self.cut_off = frozenset(whole - self.body.state_dict().keys())
        """Names of weights that the whole network of timm has beside these, its classifier's among them."""
        self.scale = reduction if scale is None else scale
        if self.scale < 1 or reduction % self.scale:
            raise ValueError(f"scale={scale} must divide {reduction}, the reduction of stage {stage} of {network}")
        patch = reduction // self.scale
        self.multiple, self.grid = patch, grid_of(window, patch)
        self.head = ConvHead(dim, classes, patch, head_width) if head == "conv" else LinearHead(dim, classes, patch)
        self.keep_dense: tuple[str, ...] = ("head.*",)
        self.always_trained: tuple[str, ...] = ("head.*",)
        self._require_map(window, dim)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        return self.head(self.embedding(cube, wavelengths))

    def embedding(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        """[n, dim, h / patch, w / patch], which the head reads."""
        image = self.bands(cube, wavelengths)
        if self.scale > 1:
            image = interpolate(image, scale_factor=float(self.scale), mode="bilinear", align_corners=False)
        return self.body.forward_intermediates(image, indices=self.place, intermediates_only=True)[0]

    @torch.no_grad()
    def _require_map(self, window: int, dim: int) -> None:
        """Raises ValueError unless the network takes a training window and its map has the size that it announces."""
        expected = (1, dim, self.grid, self.grid)
        self.body.eval()  # else running statistics would see the empty window
        try:
            found = tuple(self.embedding(torch.zeros(1, len(self.bands), window, window), self.bands.own).shape)
        except (AssertionError, IndexError, RuntimeError) as error:
            raise ValueError(
                f"{self.name} takes no windows of {window} pixels enlarged {self.scale} times: {error}"
            ) from error
        finally:
            self.body.train()
        if found != expected:
            raise ValueError(f"the map of {self.name} is {list(found)} and not {list(expected)}: it trims its edges")


def _whole(network: str, bands: int, window: int, scale: int | None) -> nn.Module:
    """timm's network at random. One that is made for images of one size is asked to take any, or else those of training."""
    import timm  # takes seconds

    if not timm.is_model(network):
        guess = nearest(network, timm.list_models())
        raise BenchmarkError(
            f"Unknown network of model backbone: '{network}'. "
            + (f"Did you mean '{guess}'? " if guess else "")
            + "Type model.network=NAME with any name of timm's, which python -c 'import timm; print(timm.list_models())' lists."
        )
    choices: list[dict[str, Any]] = [{}]
    if getattr(timm.get_pretrained_cfg(network), "fixed_input_size", False):
        sizes = [{"img_size": window * scale}] if scale else []
        choices = [{"dynamic_img_size": True}, *sizes, {}]
    for choice in choices:
        try:
            return timm.create_model(network, in_chans=bands, **choice)
        except TypeError as error:  # the class has no such argument
            refused = error
    raise ValueError(f"{network} takes no {bands} bands: {refused}") from refused


def _cut(body: Any, network: str, stage: int) -> tuple[int, int, list[int]]:
    """Takes off what comes after a stage; gives its channels, its reduction and where `forward_intermediates` has it now."""
    if not hasattr(body, "forward_intermediates"):
        raise ValueError(f"{network} gives no feature maps")
    stages = list(getattr(body.feature_info, "info", body.feature_info))
    if not 0 <= stage < len(stages):
        raise ValueError(f"stage={stage} must be from 0 to {len(stages) - 1}, the feature maps of {network}")
    dim, reduction = stages[stage]["num_chs"], stages[stage]["reduction"]
    return dim, reduction, list(body.prune_intermediate_layers([stage]))
