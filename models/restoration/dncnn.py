"""DnCNN (Zhang et al., Beyond a Gaussian Denoiser, TIP 2017) with the names of weights of its authors' KAIR."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn

from benchmarks.errors import BenchmarkError


class DnCNN(nn.Module):
    """Images [n, 3, h, w] (or of one channel) of 0 to 1 -> the same without noise, not clipped.

    `layers` convolutions of `width` channels estimate the noise, which is subtracted. With `channels=1` it is the gray
    network, and restores every channel of an image by itself. Published weights have batch normalisation (`norm`) folded
    into the convolutions.
    """

    keep_dense: ClassVar[tuple[str, ...]] = ()

    def __init__(self, layers: int = 17, width: int = 64, channels: int = 1, norm: bool = False) -> None:
        super().__init__()
        if layers < 2:
            raise BenchmarkError(f"model.layers={layers} must be 2 or more: the first and the last convolution.")
        self.channels = channels
        steps: list[nn.Module] = [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
        for _ in range(layers - 2):
            steps.append(nn.Conv2d(width, width, 3, padding=1))
            if norm:
                steps.append(nn.BatchNorm2d(width, momentum=0.9, eps=1e-4))
            steps.append(nn.ReLU(inplace=True))
        self.model = nn.Sequential(*steps, nn.Conv2d(width, channels, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        planes = image.reshape(-1, self.channels, *image.shape[2:])
        return (planes - self.model(planes)).reshape(image.shape)
