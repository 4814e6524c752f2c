"""SALT's table of sizes on SAM ViT-B, with totals and percentages, from networks without memory (meta tensors).

The published percentages are of all that the authors' code holds: the image encoder (at 512 pixels, all positions learned, no
relative ones), SAM's prompt encoder and mask decoder, CLIP's text and image towers, and a map of text to prompts. Trained beside
any adapter are that map, the positions, the norms of the blocks and those of the decoder's transformer.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
from torch import nn

from benchmarks.methods.dora import DoRA
from benchmarks.methods.salt import SALT
from benchmarks.methods.ssam import SSAM
from benchmarks.models.lowrank.update import LowRankUpdate, Update, attach
from benchmarks.models.medseg.mask_decoder import MaskDecoder
from benchmarks.models.medseg.prompt_encoder import PromptEncoder
from benchmarks.models.size import unique_parameters

CLIP = 151_277_313
"""Parameters of CLIP ViT-B/32, which is frozen and not built here."""
ATTENTION, MLP, NECK = ("attn.qkv", "attn.proj"), ("mlp.fc1", "mlp.fc2"), ("neck.0", "neck.2")


def sam() -> nn.ModuleDict:
    """All but CLIP, frozen but for what every adapter trains."""
    with torch.device("meta"):
        parts = nn.ModuleDict(
            {
                "encoder": timm.create_model("samvit_base_patch16", img_size=512, num_classes=0, use_rel_pos=False),
                "prompt": PromptEncoder(256),
                "decoder": MaskDecoder(256),
                "affine": nn.Sequential(nn.Linear(512, 256), nn.LayerNorm(256)),
            }
        )
    parts.requires_grad_(False)
    for name, parameter in parts.named_parameters():
        block_norm = name.startswith("encoder.blocks") and ".norm" in name
        decoder_norm = name.startswith("decoder.transformer") and ".norm" in name
        parameter.requires_grad_(block_norm or decoder_norm or name.startswith("affine") or name == "encoder.pos_embed")
    return parts


Make = Callable[[str, torch.Tensor], Update]


def salt(rank: int, attention: int = 760, mlp: int = 50) -> dict[tuple[str, ...], Make]:
    return {ends: SALT(top=top, rank=rank, init="paper").update for ends, top in ((ATTENTION, attention), (MLP, mlp))}


def lora(rank: int) -> Make:
    """Also of a rank that a layer of the neck has itself, which the method refuses."""
    return lambda _, weight: LowRankUpdate(weight, rank, 1.0)


BLOCKS = (*ATTENTION, *MLP)
SSAM_LAYER, NECK_250 = SSAM().update, SALT(top=250, rank=256, init="paper").update
ROWS = [
    ("S-SAM", {BLOCKS: SSAM_LAYER}, 242_766_385, 1_033_472, 0.426),
    ("S-SAM with neck", {BLOCKS: SSAM_LAYER, NECK: SSAM_LAYER}, 242_767_409, 1_034_496, 0.426),
    ("LoRA 4 with neck", {BLOCKS: lora(4), NECK: lora(4)}, 243_296_817, 1_563_904, 0.643),
    ("LoRA 256 with neck", {BLOCKS: lora(256), NECK: lora(256)}, 281_358_897, 39_625_984, 14.084),
    ("SALT 4", salt(4), 242_870_929, 1_138_016, 0.469),
    ("SALT 256", salt(256), 251_652_625, 9_919_712, 3.942),
    ("SALT 256 with neck", salt(256) | {NECK: NECK_250}, 251_659_769, 9_926_856, 3.945),
    ("SALT 256, 700 and 200", salt(256, 700, 200), 250_551_025, 8_818_112, 3.519),
    ("SALT 256, 500 and 500", salt(256, 500, 500), 249_327_025, 7_594_112, 3.046),
    ("DoRA 64", {BLOCKS: DoRA(rank=64).update}, 252_212_785, 10_479_872, 4.155),
]


@pytest.mark.parametrize(
    ("adapters", "total", "trained", "percent"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_sizes_on_sam_b_are_those_of_the_authors_code(
    adapters: dict[tuple[str, ...], Make], total: int, trained: int, percent: float
) -> None:
    parts = sam()
    for ends, make in adapters.items():
        attach({name: module for name, module in parts["encoder"].named_modules() if name.endswith(ends)}, make)
    found = unique_parameters(parts) + CLIP
    assert (found, unique_parameters(parts, trainable=True)) == (total, trained)
    assert 100 * trained / found == pytest.approx(percent, abs=1e-3)
