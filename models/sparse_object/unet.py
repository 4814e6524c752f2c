"""U-Net of segmentation-models-pytorch (an optional package): the usual learned peer of networks for sparse objects.

Ronneberger, Fischer and Brox, U-Net: Convolutional Networks for Biomedical Image Segmentation, MICCAI 2015; the encoder is
a residual network (He et al., CVPR 2016).
"""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.errors import BenchmarkError, unknown
from benchmarks.models.padding import padded
from benchmarks.models.sparse_object.blocks import narrow

MULTIPLE = 32
"""By how much the encoder divides height and width."""


class UNet(nn.Module):
    """Images [n, 1, h, w] of any size -> logits [n, 1, h, w] of objects, and None: nothing is reconstructed.

    14,321,937 parameters with ResNet-18. With `pretrained` the encoder begins with weights of ImageNet, which are downloaded.
    Raises BenchmarkError where the package is absent or has no such `encoder`.
    """

    def __init__(self, encoder: str = "resnet18", pretrained: bool = False) -> None:
        super().__init__()
        try:
            import segmentation_models_pytorch as smp
        except ModuleNotFoundError as error:
            raise BenchmarkError(
                f"Model 'unet' needs a package that is not installed: {error.name}. "
                "Type: pip install segmentation-models-pytorch (or install this project with its extra `unet`)."
            ) from error
        names = smp.encoders.get_encoder_names()
        if encoder not in names:
            raise unknown("encoder of model unet:", encoder, names)
        weights = "imagenet" if pretrained else None
        self.network = smp.Unet(encoder, encoder_weights=weights, in_channels=1, classes=1)
        self.keep_dense = narrow(self)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, None]:
        height, width = image.shape[2:]
        # Twice the multiple at least, so that the deepest maps have more than one pixel to take statistics of.
        logits = self.network(padded(image, MULTIPLE, least=2 * MULTIPLE))
        return logits[:, :, :height, :width], None

    def answer(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """The probability [n, h, w] of an object at every pixel."""
        return {"probability": torch.sigmoid(self(image)[0])[:, 0]}
