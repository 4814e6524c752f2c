"""LiteMedSAM: a TinyViT that was distilled on medical images, with SAM's prompts and mask decoder or a convolutional head.

Ma et al., Segment Anything in Medical Images, Nature Communications 15, 2024, and the authors' light version of it; the
published weights load strictly and give the same embeddings and masks (see tests/medseg/test_litemedsam.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.errors import unknown
from benchmarks.models.medseg.conv_head import ConvHead
from benchmarks.models.medseg.mask_decoder import MaskDecoder
from benchmarks.models.medseg.prompt_encoder import PromptEncoder
from benchmarks.models.medseg.tiny_vit import TinyViT
from benchmarks.models.weights import plain_state, require_fit

HEADS = ("conv", "sam")
SIDE = 256
"""Pixels of the images that the published weights were made with."""


class LiteMedSAM(nn.Module):
    """Images [n, 3, h, w] from 0 to 1 -> logits [n, 1, h, w]; sides are multiples of `multiple`, so that windows fit.

    With `head="sam"` SAM's decoder answers to a prompt of two learned tokens, which begin as the corners of a box around the
    whole image: untrained, it is the published network so prompted. With `head="conv"` the decoder gives way to `ConvHead`,
    which begins at random. Either is what every adapter trains beside its own parameters (`always_trained`).
    Adapters and compression act on the linear layers of the encoder's blocks alone, 40 of them.
    """

    def __init__(
        self,
        head: str = "conv",
        embed_dims: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        windows: Sequence[int] = (7, 14, 7),
        channels: int = 256,
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
            self.head = ConvHead(channels, embed_dims[0])
            self.always_trained: tuple[str, ...] = ("head.*",)
        else:
            self.prompt_encoder = PromptEncoder(channels)
            self.mask_decoder = MaskDecoder(channels)
            self.prompt = nn.Parameter(self.whole_image())
            self.always_trained = (
                "prompt",
                "mask_decoder.output_upscaling.*",
                "mask_decoder.output_hypernetworks_mlps.0.*",
            )
        # The first attention acts at a stride of 2, those after it at 4.
        self.multiple = math.lcm(2 * windows[0], *(4 * window for window in windows[1:]))

    def whole_image(self) -> Tensor:
        """The tokens of a box around an image of the size that the weights were made with, [2, channels]."""
        with torch.no_grad():
            return self.prompt_encoder.box(torch.tensor([0.0, 0.0, SIDE, SIDE]), SIDE, SIDE)

    def forward(self, image: Tensor) -> Tensor:
        embedding, first = self.image_encoder(image)
        if hasattr(self, "head"):
            return self.head(embedding, first)
        return self.decode(embedding, self.prompt.expand(len(image), -1, -1))

    def decode(self, embedding: Tensor, prompt: Tensor) -> Tensor:
        """The logits [n, 1, 4h, 4w] of an embedding [n, c, h, w] and the tokens of a prompt [n, t, c]."""
        places = self.prompt_encoder.places(*embedding.shape[2:])
        return self.mask_decoder(embedding + self.prompt_encoder.no_mask, places, prompt)


def load_published(network: LiteMedSAM, path: Path) -> None:
    """Fills a network strictly with the published file; no code of the file is run.

    With a convolutional head, the file's prompt encoder and decoder are left out. Weights that do not fit raise
    BenchmarkError and leave the network as it was.
    """
    state, own = plain_state(path), network.state_dict()
    used = {name: value for name, value in state.items() if hasattr(network, name.partition(".")[0])}
    require_fit(
        f"The weights {path} do not fit this network",
        used,
        {name: value for name, value in own.items() if name.partition(".")[0] not in ("head", "prompt", "temperature")},
        "Leave out the model.* settings but model.head, or type weights=null to begin at random.",
    )
    network.load_state_dict(own | used)
    if hasattr(network, "prompt"):
        with torch.no_grad():
            network.prompt.copy_(network.whole_image())
