"""LiteMedSAM: a TinyViT that was distilled on medical images, with SAM's prompts and mask decoder or a convolutional head.

Ma et al., Segment Anything in Medical Images, Nature Communications 15, 2024, and the authors' light version of it; the
published weights load strictly and give the same embeddings and masks (see tests/medseg/test_litemedsam.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from benchmarks.errors import unknown
from benchmarks.models.medseg.conv_head import ConvHead
from benchmarks.models.medseg.promptable import Promptable
from benchmarks.models.medseg.tiny_vit import TinyViT

HEADS = ("conv", "sam")


class LiteMedSAM(Promptable):
    """Images [n, 3, h, w] from 0 to 1 -> logits [n, classes, h, w]; sides are multiples of `multiple`, so that windows fit.

    With `head="sam"` SAM's decoder answers to a learned prompt (see `Promptable`). With `head="conv"` the decoder gives way to
    `ConvHead`, which begins at random and which every adapter trains beside its own parameters (`always_trained`).
    Adapters and compression act on the linear layers of the encoder's blocks alone, 40 of them.
    """

    side = 256
    remedy = "Leave out the model.* settings but model.head, or type weights=null to begin at random."

    def __init__(
        self,
        head: str = "conv",
        embed_dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        windows: Sequence[int] = (7, 14, 7),
        channels: int = 256,
        classes: int = 1,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise unknown("head of model litemedsam:", head, HEADS)
        if channels % 16:
            raise ValueError("channels must be a multiple of 16")
        self.image_encoder = TinyViT(embed_dims, depths, windows, channels)
        self.keep_dense: tuple[str, ...] = (
            "image_encoder.patch_embed.*", "image_encoder.layers.0.*", "*.downsample.*", "*.local_conv.*",
            "image_encoder.neck.*", "head.*", "mask_decoder.*", "prompt_encoder.*",
        )  # fmt: skip
        if head == "conv":
            self.head = ConvHead(channels, embed_dims[0], classes)
            self.always_trained = ("head.*",)
        else:
            self.add_decoder(channels, classes)
        # The first attention acts at a stride of 2, those after it at 4.
        self.multiple = math.lcm(2 * windows[0], *(4 * window for window in windows[1:]))

    def forward(self, image: Tensor) -> Tensor:
        embedding, first = self.image_encoder(image)
        if hasattr(self, "head"):
            return self.head(embedding, first)
        return self.decode(embedding)
