"""LESS ViT: a transformer over bands times positions, whose weights fit any set of bands, for a class of every pixel.

Low-rank Efficient Spatial-Spectral ViT, arXiv 2503.12843 and arXiv 2605.18541. Dense answers are read off row 0 of the tokens,
which is what all bands have in common.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from benchmarks.errors import unknown
from benchmarks.models.hyperspectral.heads import ConvHead, LinearHead
from benchmarks.models.hyperspectral.less_attention import AttentionShape
from benchmarks.models.hyperspectral.less_encoder import Encoder, Geometry, Layout
from benchmarks.models.hyperspectral.tokens import patches_of

HEADS = ("conv", "linear")


class LessViT(nn.Module):
    """Cubes [b, c, h, w] and wavelengths [c] in nm, in any order -> logits [b, classes, h, w]; sides are multiples of `multiple`.

    `wavelength_range` is that of the data's full set of bands. `operator`, `form` and `rank` are those of attention
    (less_attention.py, operators.py), `position` is how it is told of places (position.py); sincos and a perception radius need
    the `gsd`, metres a pixel.
    """

    def __init__(
        self,
        classes: int,
        window: int,
        wavelength_range: tuple[float, float],
        dim: int = 64,
        depth: int = 3,
        heads: int = 4,
        channel_dim: int = 4,
        patch: int = 2,
        operator: str = "less",
        form: str = "v2",
        rank: int = 1,
        position: str = "rope",
        gsd: float | None = 1.0,
        perception_radius: float | None = None,
        layer_scale: float | None = 0.1,
        drop: float = 0.0,
        attn_drop: float = 0.0,
        drop_path: float = 0.0,
        radar: Sequence[float] = (),
        head: str = "conv",
        head_width: int = 128,
    ) -> None:
        super().__init__()
        if window % patch:
            raise ValueError(f"windows of {window} pixels are no whole patches of patch={patch}")
        if head not in HEADS:
            raise unknown("head of model less_vit:", head, HEADS)
        self.multiple = patch
        self.encoder = Encoder(
            AttentionShape(dim, heads, channel_dim, rank, form, drop, attn_drop),
            Geometry(position, (wavelength_range[0], wavelength_range[1]), patch, gsd, perception_radius),
            depth,
            operator,
            layer_scale,
            drop_path,
            radar,
        )
        self.head = ConvHead(dim, classes, patch, head_width) if head == "conv" else LinearHead(dim, classes, patch)
        self.keep_dense: tuple[str, ...] = ("encoder.tokens.*", "head.*", *self.narrow())
        self.always_trained: tuple[str, ...] = ("head.*",)

    def forward(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        return self.head(self.embedding(cube, wavelengths))

    def embedding(self, cube: Tensor, wavelengths: Tensor) -> Tensor:
        """[b, dim, h / patch, w / patch], of all bands."""
        require_wavelengths(cube, wavelengths)
        grid = (cube.shape[2] // self.multiple, cube.shape[3] // self.multiple)
        row = self.encoder(patches_of(cube, self.multiple), Layout(wavelengths[None], grid), first_row=True)
        return row[:, 0, 1:].transpose(1, 2).unflatten(2, grid)

    def narrow(self) -> list[str]:
        """The blocks' layers with a side of less than half the tokens' width: those of short sequences."""
        least = self.encoder.shape.dim / 2
        return [
            f"encoder.blocks.{name}"
            for name, layer in self.encoder.blocks.named_modules()
            if isinstance(layer, nn.Linear) and min(layer.weight.shape) < least
        ]


def require_wavelengths(cube: Tensor, wavelengths: Tensor) -> None:
    """Raises ValueError unless there is a wavelength for every band, and a band at all."""
    if cube.ndim != 4 or cube.shape[1] < 1 or tuple(wavelengths.shape) != (cube.shape[1],):
        raise ValueError(
            f"a cube [n, bands, h, w] needs a wavelength for every band: {tuple(cube.shape)} and {tuple(wavelengths.shape)}"
        )
