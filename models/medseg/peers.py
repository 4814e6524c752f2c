"""The usual networks of medical segmentation, trained from scratch or from ImageNet, of segmentation-models-pytorch."""

from __future__ import annotations

from torch import Tensor, nn

from benchmarks.models.packaged import MULTIPLE, packaged


class Packaged(nn.Module):
    """Images [n, 3, h, w] -> logits [n, classes, h, w]; sides are multiples of `multiple`. Errors as `packaged` has them."""

    name: str
    kind: str
    multiple = MULTIPLE

    def __init__(self, encoder: str, pretrained: bool = False, classes: int = 1) -> None:
        super().__init__()
        self.network = packaged(self.name, self.kind, encoder, pretrained, channels=3, classes=classes)
        # The first convolution has few inputs, the last few outputs: nothing can be gained there.
        self.keep_dense = tuple(
            name
            for name, module in self.named_modules()
            if isinstance(module, nn.Conv2d) and (module.in_channels == 3 or ".segmentation_head." in name)
        )

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image)


class UNet(Packaged):
    """U-Net with a residual encoder (Ronneberger et al., MICCAI 2015); 14,328,209 parameters with ResNet-18."""

    name, kind = "unet", "Unet"

    def __init__(self, encoder: str = "resnet18", pretrained: bool = False, classes: int = 1) -> None:
        super().__init__(encoder, pretrained, classes)


class SegFormer(Packaged):
    """A transformer of four scales and a decoder of point-wise layers (Xie et al., NeurIPS 2021); 3,714,401 parameters of B0."""

    name, kind = "segformer", "Segformer"

    def __init__(self, encoder: str = "mit_b0", pretrained: bool = False, classes: int = 1) -> None:
        super().__init__(encoder, pretrained, classes)
