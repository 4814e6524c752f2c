"""UNETR, of monai, an optional package: a transformer whose maps of several depths a U-Net's decoder joins.

Hatamizadeh et al., UNETR: Transformers for 3D Medical Image Segmentation, WACV 2022, in two dimensions.
"""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from benchmarks.errors import BenchmarkError

PATCH = 16
OVERLAP = 0.25
"""Of windows beside each other, as a share of their side."""
TOGETHER = 4
"""Windows that are answered at a time."""


class UNETR(nn.Module):
    """Images [n, 3, h, w] -> logits [n, classes, h, w]; sides are multiples of `multiple`; 87,549,937 parameters by default.

    Positions are of images of `image_size` pixels, a multiple of 16 (ValueError). Others are answered by overlapping windows of
    that size, whose answers are weighted by a Gaussian: monai's usual way. Raises BenchmarkError where monai is absent.
    """

    multiple = PATCH

    def __init__(
        self,
        image_size: int = 112,
        feature_size: int = 16,
        hidden_size: int = 768,
        mlp_dim: int = 3072,
        num_heads: int = 12,
        classes: int = 1,
    ) -> None:
        super().__init__()
        try:
            from monai.networks import nets
        except ModuleNotFoundError as error:
            raise BenchmarkError(
                f"Model 'unetr' needs a package that is not installed: {error.name}. "
                "Type: pip install monai einops (or install this project with its extra `unetr`)."
            ) from error
        if image_size < PATCH or image_size % PATCH:
            raise ValueError(f"image_size must be a multiple of {PATCH}")
        self.image_size = image_size
        self.network = nets.UNETR(
            in_channels=3,
            out_channels=classes,
            img_size=(image_size, image_size),
            feature_size=feature_size,
            hidden_size=hidden_size,
            mlp_dim=mlp_dim,
            num_heads=num_heads,
            spatial_dims=2,
        )
        for block in self.network.vit.blocks:
            block.norm_cross_attn = nn.Identity()  # which it has for decoders, and which never acts here
        # The first convolutions have few inputs, the last few outputs: nothing can be gained there.
        self.keep_dense = tuple(
            name
            for name, module in self.named_modules()
            if isinstance(module, nn.Conv2d) and (module.in_channels == 3 or name.startswith("network.out."))
        )

    def forward(self, image: Tensor) -> Tensor:
        window = (self.image_size, self.image_size)
        if tuple(image.shape[2:]) == window:
            return self.network(image)
        from monai.inferers import sliding_window_inference

        made = sliding_window_inference(image, window, TOGETHER, self.network, overlap=OVERLAP, mode="gaussian")
        return cast(Tensor, made)
