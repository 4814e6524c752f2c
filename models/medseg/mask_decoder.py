"""SAM's mask decoder: tokens and pixels look at each other twice, then each mask token becomes a filter on upscaled pixels.

Kirillov et al., Segment Anything, ICCV 2023, Section 3 and Appendix A; module names are those of published weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import relu, scaled_dot_product_attention

from benchmarks.models.medseg.norms import LayerNorm2d

HEADS = 8
MASK_TOKENS = 4
"""One for a single answer, three for the parts of an ambiguous one."""


class CrossAttention(nn.Module):
    """Multi-head attention with separate projections, of width `dim / shrink` inside."""

    def __init__(self, dim: int, shrink: int = 1) -> None:
        super().__init__()
        inner = dim // shrink
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        parts = (self.q_proj(query), self.k_proj(key), self.v_proj(value))
        heads = [part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts]
        return self.out_proj(scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class HiddenLayer(nn.Module):
    """A perceptron of one hidden layer."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(relu(self.lin1(x)))


class Perceptron(nn.Module):
    """Three linear layers with rectifiers between them."""

    def __init__(self, dim: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(dim, dim), nn.Linear(dim, dim), nn.Linear(dim, out)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = relu(layer(x))
        return self.layers[-1](x)


class TwoWayBlock(nn.Module):
    """Tokens look at themselves and at pixels, pass a perceptron, and pixels look at tokens."""

    def __init__(self, dim: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = CrossAttention(dim)
        self.cross_attn_token_to_image = CrossAttention(dim, 2)
        self.cross_attn_image_to_token = CrossAttention(dim, 2)
        self.mlp = HiddenLayer(dim, hidden)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(dim) for _ in range(4))

    def forward(self, tokens: Tensor, pixels: Tensor, prompts: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        if self.first:
            tokens = self.norm1(self.self_attn(tokens, tokens, tokens))
        else:
            where = tokens + prompts
            tokens = self.norm1(tokens + self.self_attn(where, where, tokens))
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + prompts, pixels + places, pixels))
        tokens = self.norm3(tokens + self.mlp(tokens))
        pixels = self.norm4(pixels + self.cross_attn_image_to_token(pixels + places, tokens + prompts, tokens))
        return tokens, pixels


class TwoWayTransformer(nn.Module):
    """Two such blocks, and a last look of the tokens at the pixels."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, hidden, first=number == 0) for number in range(2))
        self.final_attn_token_to_image = CrossAttention(dim, 2)
        self.norm_final_attn = nn.LayerNorm(dim)

    def forward(self, prompts: Tensor, pixels: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        tokens = prompts
        for layer in self.layers:
            tokens, pixels = layer(tokens, pixels, prompts, places)
        seen = self.final_attn_token_to_image(tokens + prompts, pixels + places, pixels)
        return self.norm_final_attn(tokens + seen), pixels


class MaskDecoder(nn.Module):
    """An embedding [n, dim, h, w], its places [1, dim, h, w] and tokens [n, t, dim] of a prompt -> logits [n, 1, 4h, 4w].

    The answer is that of the first mask token; the other three and the estimate of IoU have their weights here, since
    published files have them.
    """

    def __init__(self, dim: int = 256) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(dim, 8 * dim)
        self.iou_token, self.mask_tokens = nn.Embedding(1, dim), nn.Embedding(MASK_TOKENS, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, 2, 2), LayerNorm2d(dim // 4), nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, 2, 2), nn.GELU(),
        )  # fmt: skip
        self.output_hypernetworks_mlps = nn.ModuleList(Perceptron(dim, dim // 8) for _ in range(MASK_TOKENS))
        self.iou_prediction_head = Perceptron(dim, MASK_TOKENS)

    def forward(self, embedding: Tensor, places: Tensor, prompt: Tensor) -> Tensor:
        n, _, height, width = embedding.shape
        own = torch.cat((self.iou_token.weight, self.mask_tokens.weight)).expand(n, -1, -1)
        pixels, where = (part.flatten(2).transpose(1, 2) for part in (embedding, places.expand(n, -1, -1, -1)))
        tokens, pixels = self.transformer(torch.cat((own, prompt), 1), pixels, where)
        upscaled = self.output_upscaling(pixels.transpose(1, 2).unflatten(2, (height, width)))
        filters = self.output_hypernetworks_mlps[0](tokens[:, 1])
        return torch.einsum("nc,nchw->nhw", filters, upscaled)[:, None]
