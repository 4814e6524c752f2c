"""Segment Anything: timm's image encoder with SAM's prompts and mask decoder, for checkpoints in the official layout.

Kirillov et al., Segment Anything, ICCV 2023; the encoder is that of Li et al., Exploring Plain Vision Transformer Backbones for
Object Detection, ECCV 2022. With weights of the official code it gives that code's masks (see tests/medseg/test_sam.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from benchmarks.errors import unknown
from benchmarks.models.medseg.promptable import Promptable

ENCODERS = ("samvit_base_patch16", "samvit_large_patch16", "samvit_huge_patch16")
PATCH = 16
DECODED = 4
"""By how much the decoder's masks are smaller than images."""
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""Of red, green and blue levels from 0 to 255, as the checkpoints were trained with."""
HIDDEN = ("mlp.lin", "mlp.fc")
"""What the official code and timm call the layers of a block's perceptron."""


class SAM(Promptable):
    """Images [n, 3, h, w] from 0 to 1 -> logits [n, classes, h, w]; sides are multiples of `multiple`.

    `encoder` is one of timm's `samvit_*`; what is None is as it has it. Positions are held for images of `image_size` pixels
    and resized to those of any other (bicubic; relative ones linear), also when weights are loaded. Adapters and compression
    act on the four linear layers of each of the encoder's blocks, and SAM's decoder answers to a learned prompt (see
    `Promptable`).
    """

    side = 1024
    remedy = "Choose model.encoder= as the file was made (samvit_base_patch16 for sam_vit_b), or weights=null to begin at random."
    multiple = PATCH
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        encoder: str = "samvit_base_patch16",
        image_size: int = 1024,
        channels: int = 256,
        embed_dim: int | None = None,
        depth: int | None = None,
        num_heads: int | None = None,
        window_size: int | None = None,
        global_blocks: Sequence[int] | None = None,
        classes: int = 1,
    ) -> None:
        super().__init__()
        if encoder not in ENCODERS:
            raise unknown("encoder of model sam:", encoder, ENCODERS)
        if image_size < PATCH or image_size % PATCH:
            raise ValueError(f"image_size must be a multiple of {PATCH}")
        changed = {
            "embed_dim": embed_dim, "depth": depth, "num_heads": num_heads, "window_size": window_size,
            "global_attn_indexes": None if global_blocks is None else tuple(global_blocks),
        }  # fmt: skip
        self.image_encoder = _image_encoder(encoder, image_size, channels, changed)
        self.add_decoder(channels, classes)
        self.keep_dense = ("image_encoder.patch_embed.*", "image_encoder.neck.*", "mask_decoder.*", "prompt_encoder.*")
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None] / 255, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        logits = self.decode(self.image_encoder.forward_features((image - self.mean) / self.std))
        return interpolate(logits, scale_factor=DECODED, mode="bilinear", align_corners=False)

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The official names of perceptrons as timm has them, and positions for images of this network's size."""
        own = self.state_dict()
        found = {}
        for name, value in state.items():
            ours = name.replace(*HIDDEN) if name.startswith("image_encoder.") else name
            found[ours] = _resized(ours, value, own[ours]) if ours in own else value
        return found


def official(network: SAM) -> dict[str, Tensor]:
    """The weights of a network in the layout of the official checkpoints, without the prompt that it has learned."""
    parts = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
    return {
        name.replace(HIDDEN[1], HIDDEN[0]) if name.startswith(parts[0]) else name: value
        for name, value in network.state_dict().items()
        if name.startswith(parts)
    }


def _image_encoder(name: str, image_size: int, channels: int, changed: Mapping[str, Any]) -> Any:
    """timm's encoder without a classifier, at random; its layer norms are those of the official code (timm's differ by 9e-6)."""
    from timm import create_model  # takes seconds

    settings = {key: value for key, value in changed.items() if value is not None}
    return create_model(
        name,
        img_size=image_size,
        num_classes=0,
        neck_chans=channels,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        **settings,
    )


def _resized(name: str, value: Tensor, own: Tensor) -> Tensor:
    """Positions for another number of patches; whatever else is given is left as it is."""
    if value.shape[-1:] != own.shape[-1:] or value.ndim != own.ndim or value.shape == own.shape:
        return value
    if name == "image_encoder.pos_embed":
        from timm.layers import resample_abs_pos_embed_nhwc

        return cast(Tensor, resample_abs_pos_embed_nhwc(value, list(own.shape[1:3])))
    if name.rpartition(".")[2] in ("rel_pos_h", "rel_pos_w"):
        return interpolate(value.T[None], len(own), mode="linear")[0].T
    return value
