"""HyperMAE: pretraining of an encoder without labels, by the pixels of hidden bands and hidden positions.

LESS ViT, arXiv 2503.12843 (half of the bands hidden) and arXiv 2605.18541 (three quarters, of a random fifth to third of all).
Hidden patches are never embedded. The authors' decoder of the second form is told no positions, so that it answers the same
at every hidden one; here it is rotated as the encoder is, unless `rotary_decoder` is off.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from benchmarks.errors import unknown
from benchmarks.models.hyperspectral.blocks import Blocks, initialise
from benchmarks.models.hyperspectral.less_attention import AttentionShape
from benchmarks.models.hyperspectral.less_encoder import Encoder, Layout, check_widths
from benchmarks.models.hyperspectral.less_vit import require_wavelengths
from benchmarks.models.hyperspectral.reconstruction_loss import WEIGHINGS, reconstruction_loss
from benchmarks.models.hyperspectral.tokens import CLS_STD, by_group, patches_of

GROUPS = ("all", "optical", "radar")


class Visible(NamedTuple):
    """What the encoder sees: indices of bands [b or 1, c'] and of positions [b or 1, n'], rising."""

    channels: Tensor
    positions: Tensor


class Reconstruction(NamedTuple):
    """Patches [b, c, n, pixels] as predicted and as they are, what was hidden (bool [b or 1, c], [b or 1, n]), and the bands."""

    prediction: Tensor
    target: Tensor
    hidden_channels: Tensor
    hidden_positions: Tensor
    wavelengths: Tensor


class HyperMAE(nn.Module):
    """An encoder and a decoder, which is made of the same kind of blocks.

    Of C bands max(int(C (1 - channel_ratio)), 2) are visible, of N positions int(N (1 - position_ratio)) but at least one, in
    every sample other ones; under a perception radius all samples of a batch have the same positions. With `sampling`, the
    least and the largest share of bands that a training step leaves out before anything else. `weigh` and what follows it are
    about the loss (see reconstruction_loss.py).
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder_dim: int = 512,
        decoder_depth: int = 4,
        decoder_heads: int = 16,
        channel_ratio: float = 0.75,
        position_ratio: float = 0.75,
        sampling: tuple[float, float] | None = (0.7, 0.8),
        rotary_decoder: bool = True,
        weigh: str = "axes",
        absolute: bool = False,
        normalise: bool = False,
        skip_zeros: bool = False,
    ) -> None:
        super().__init__()
        if not (0 <= channel_ratio < 1 and 0 <= position_ratio < 1):
            raise ValueError(f"channel_ratio={channel_ratio} position_ratio={position_ratio}: shares from 0 to below 1")
        if sampling is not None and not 0 <= sampling[0] <= sampling[1] < 1:
            raise ValueError(
                f"sampling={tuple(sampling)}: two shares from 0 to below 1, the second no smaller; or null"
            )
        if weigh not in WEIGHINGS:
            raise unknown("weigh of HyperMAE's loss:", weigh, WEIGHINGS)
        pixels = encoder.geometry.patch**2
        if normalise and pixels == 1:
            raise ValueError("normalise=true: patches of one pixel have no variance")
        self.encoder, self.rotary_decoder = encoder, rotary_decoder
        self.loss_options: dict[str, Any] = {
            "weigh": weigh, "absolute": absolute, "normalise": normalise, "skip_zeros": skip_zeros,
        }  # fmt: skip
        self.channel_ratio, self.position_ratio, self.sampling = channel_ratio, position_ratio, sampling
        ours = encoder.shape
        shape = AttentionShape(
            decoder_dim, decoder_heads, ours.channel_dim, ours.rank, ours.form, ours.drop, ours.attn_drop
        )
        self.embed = nn.Linear(ours.dim, decoder_dim)
        self.blocks = Blocks(decoder_depth, shape, encoder.operator, encoder.layer_scale, encoder.drop_path)
        self.norm = nn.LayerNorm(decoder_dim, eps=1e-6)
        self.optical = nn.Linear(decoder_dim, pixels)
        self.radar = None if encoder.tokens.radar is None else nn.Linear(decoder_dim, pixels)
        self.patch_mask, self.channel_mask, self.spatial_mask = (
            nn.Parameter(CLS_STD * torch.randn(decoder_dim)) for _ in range(3)
        )
        """In place of hidden patches, of row 0 at hidden positions, and of column 0 in hidden bands."""
        if encoder.geometry.position == "rope" and rotary_decoder:
            check_widths(self.blocks.widths)
        for part in (self.embed, self.blocks, self.optical, *([self.radar] if self.radar is not None else [])):
            part.apply(initialise)

    def forward(
        self, cube: Tensor, wavelengths: Tensor, visible: Visible | None = None, enters: str = "all"
    ) -> Reconstruction:
        """Of a cube [b, c, h, w] and wavelengths [c] in nm. Only bands of the group that `enters` are ever visible.

        `visible` is drawn where it is not given. Raises ValueError where the perception mask and choices of positions that
        differ within the batch come together.
        """
        require_wavelengths(cube, wavelengths)
        if visible is None:
            cube, wavelengths = self.sampled(cube, wavelengths)
        geometry = self.encoder.geometry
        patches = patches_of(cube, geometry.patch)
        grid = (cube.shape[2] // geometry.patch, cube.shape[3] // geometry.patch)
        if visible is None:
            visible = self.draw(len(patches), patches.shape[2], self.entering(wavelengths, enters))
        chosen = patches[_places(len(cube), visible)]
        encoded = self.encoder(chosen, Layout(wavelengths[visible.channels], grid, visible.positions))
        channels, positions = (
            torch.ones(len(kept), size, dtype=torch.bool, device=cube.device).scatter(1, kept, False)
            for kept, size in zip(visible, patches.shape[1:3], strict=True)
        )
        prediction = self.decode(encoded, Layout(wavelengths[None], grid), visible)
        return Reconstruction(prediction, patches, channels, positions, wavelengths)

    def loss(self, found: Reconstruction) -> Tensor:
        """A number."""
        radar = None if self.radar is None else self.encoder.tokens.is_radar(found.wavelengths)
        return reconstruction_loss(*found[:4], radar, **self.loss_options)

    def sampled(self, cube: Tensor, wavelengths: Tensor) -> tuple[Tensor, Tensor]:
        """The bands of one training step, in their order, the same in all samples; elsewhere all of them."""
        bands = cube.shape[1]
        if not self.training or self.sampling is None:
            return cube, wavelengths
        most, least = (max(1, round(bands * (1 - share))) for share in self.sampling)
        count = int(torch.randint(least, most + 1, ()))
        chosen = torch.randperm(bands, device=cube.device)[:count].sort().values
        return cube[:, chosen], wavelengths[chosen]

    def entering(self, wavelengths: Tensor, enters: str) -> Tensor:
        """The indices of the bands that may be visible."""
        if enters not in GROUPS:
            raise unknown("group of bands that enters:", enters, GROUPS)
        radar = self.encoder.tokens.is_radar(wavelengths)
        chosen = torch.ones_like(radar) if enters == "all" else radar if enters == "radar" else ~radar
        found = chosen.nonzero()[:, 0]
        if not len(found):
            raise ValueError(f"enters={enters}: none of the wavelengths {wavelengths.tolist()} is of this group")
        return found

    def draw(self, samples: int, positions: int, entering: Tensor) -> Visible:
        """A choice of bands and, apart from it, of positions for every sample."""
        channels = min(max(int(len(entering) * (1 - self.channel_ratio)), 2), len(entering))
        places = max(int(positions * (1 - self.position_ratio)), 1)
        choices = 1 if self.encoder.geometry.perception_radius is not None else samples
        device = entering.device
        by_sample = torch.rand(samples, len(entering), device=device).argsort(1)[:, :channels].sort(1).values
        by_choice = torch.rand(choices, positions, device=device).argsort(1)[:, :places].sort(1).values
        return Visible(entering[by_sample], by_choice)

    def decode(self, encoded: Tensor, layout: Layout, visible: Visible) -> Tensor:
        """Patches [b, c, n, pixels] of the whole layout, of the tokens of what is visible."""
        x = self.embed(encoded)
        (b, _, _, dim), c, n = x.shape, layout.wavelengths.shape[1], layout.grid[0] * layout.grid[1]
        row = self.channel_mask.expand(b, 1, n + 1, dim)
        column, patches = self.spatial_mask.expand(b, c, 1, dim), self.patch_mask.expand(b, c, n, dim)
        tokens = torch.cat((row, torch.cat((column, patches), 2)), 1)
        seen = Visible(*(pad(kept + 1, (1, 0)) for kept in visible))  # CLS, at 0, is always visible
        tokens = tokens.index_put(_places(b, seen), x.to(tokens.dtype))
        geometry = self.encoder.geometry
        embedding = geometry.embedding(layout, dim)
        if embedding is not None:
            tokens = tokens + embedding
        places = geometry.places(layout, self.blocks.widths, self.rotary_decoder)
        answers = self.norm(self.blocks(tokens, places))[:, 1:, 1:]
        return by_group(answers, self.encoder.tokens.is_radar(layout.wavelengths), self.optical, self.radar)


def _places(samples: int, visible: Visible) -> tuple[Tensor, Tensor, Tensor]:
    """Indices that take [b, c', n'] out of the first three dimensions of [b, c, n, ...]."""
    sample = torch.arange(samples, device=visible.channels.device)
    return sample[:, None, None], visible.channels[:, :, None], visible.positions[:, None]
