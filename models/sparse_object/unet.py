"""U-Net of segmentation-models-pytorch (an optional package): the usual learned peer of networks for sparse objects.

Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015; the encoder is
a residual network (He et al., CVPR 2016).
"""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.models.packaged import MULTIPLE, packaged
from benchmarks.models.padding import padded
from benchmarks.models.sparse_object.blocks import narrow


class UNet(nn.Module):
    """Images [n, 1, h, w] of any size -> logits [n, 1, h, w] of objects, and None: nothing is reconstructed.

    14,321,937 parameters with ResNet-18. `pretrained` and errors as `packaged` has them.
    """

    def __init__(self, encoder: str = "resnet18", pretrained: bool = False) -> None:
        super().__init__()
        self.network = packaged("unet", "Unet", encoder, pretrained, channels=1)
        self.keep_dense = narrow(self)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, None]:
        height, width = image.shape[2:]
        # Twice the multiple at least, so that the deepest maps have more than one pixel to take statistics of.
        logits = self.network(padded(image, MULTIPLE, least=2 * MULTIPLE))
        return logits[:, :, :height, :width], None

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The probability [n, h, w] of an object at every pixel."""
        return {"probability": torch.sigmoid(self(image)[0].to(torch.float32))[:, 0]}
