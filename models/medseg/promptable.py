"""What networks with SAM's prompt encoder and mask decoder share: a learned prompt, decoding, and published weights.

Kirillov et al., Segment Anything, ICCV 2023.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.models.medseg.mask_decoder import MaskDecoder
from benchmarks.models.medseg.prompt_encoder import PromptEncoder
from benchmarks.models.weights import plain_state, require_fit

OURS = ("head", "prompt", "temperature")
"""Parts of a network that no published file has."""


class Promptable(nn.Module):
    """A network whose encoder's embedding SAM's decoder may turn into a mask, given a prompt of two learned tokens,
    one prompt a class.

    Prompts begin as the corners of a box around the whole image: untrained, the network is the published one so prompted.
    They are trained by every adapter, and so is what makes the mask of the decoder's output (`always_trained`).
    """

    side: int
    """Pixels of the images that the published weights were made with."""
    remedy: str
    """What to type where weights do not fit."""
    always_trained: tuple[str, ...] = (
        "prompt",
        "mask_decoder.output_upscaling.*",
        "mask_decoder.output_hypernetworks_mlps.0.*",
    )

    def add_decoder(self, channels: int, classes: int) -> None:
        """Prompt encoder, decoder and prompts for an embedding of so many channels, a multiple of 16 (ValueError)."""
        if channels % 16:
            raise ValueError("channels must be a multiple of 16")
        self.prompt_encoder = PromptEncoder(channels)
        self.mask_decoder = MaskDecoder(channels)
        self.prompt = nn.Parameter(self.whole_image().repeat(classes, 1, 1))

    def whole_image(self) -> Tensor:
        """The tokens of a box around an image of the size that the weights were made with, [2, channels]."""
        with torch.no_grad():
            like = self.prompt_encoder.no_mask_embed.weight
            return self.prompt_encoder.box(like.new_tensor([0.0, 0.0, self.side, self.side]), self.side, self.side)

    def decode(self, embedding: Tensor, prompts: Tensor | None = None) -> Tensor:
        """The logits [n, k, 4h, 4w] of an embedding [n, c, h, w] and k prompts [k, t, c], by default those that are learned."""
        prompts = self.prompt if prompts is None else prompts
        n, classes = len(embedding), len(prompts)
        places = self.prompt_encoder.places(*embedding.shape[2:])
        asked = (embedding + self.prompt_encoder.no_mask).repeat_interleave(classes, 0)
        # A copy: a view of a parameter asks for gradients even where there are none, which counting operations stumbles over.
        return self.mask_decoder(asked, places, prompts.repeat(n, 1, 1)).view(
            n, classes, *(4 * side for side in embedding.shape[2:])
        )

    def renamed(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A published state dict with the names and shapes of this network."""
        return dict(state)


def load_published(network: Promptable, path: Path) -> None:
    """Fills a network strictly with the published file; no code of the file is run.

    Where the network has no decoder, that of the file is left out. Weights that do not fit raise BenchmarkError and leave the
    network as it was.
    """
    state, own = network.renamed(plain_state(path)), network.state_dict()
    parts = {"prompt_encoder", "mask_decoder"} - {name.partition(".")[0] for name in own}
    used = {name: value for name, value in state.items() if name.partition(".")[0] not in parts}
    wanted = {name: value for name, value in own.items() if name.partition(".")[0] not in OURS}
    require_fit(f"The weights {path} do not fit this network", used, wanted, network.remedy)
    network.load_state_dict(own | used)
    if hasattr(network, "prompt"):
        with torch.no_grad():
            network.prompt.copy_(network.whole_image())
