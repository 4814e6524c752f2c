"""Parameters of LESS ViT and HyperMAE are those of the authors' code, for every configuration that was counted there."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.models.hyperspectral.blocks import Block
from benchmarks.models.hyperspectral.hyper_mae import HyperMAE
from benchmarks.models.hyperspectral.less_attention import AttentionShape
from benchmarks.models.hyperspectral.less_encoder import Encoder, Geometry
from benchmarks.models.hyperspectral.operators import OPERATORS
from benchmarks.models.hyperspectral.tokens import PatchEmbed

BASE, SMALL = (768, 12), (384, 6)
ENMAP = (418.24, 2445.53)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def counted(size: tuple[int, int], patch: int, channel_dim: int, form: str = "v2", rank: int = 1, scaled: bool = True,
            rope: bool = False, depth: int = 4, operator: str = "less") -> tuple[int, int, int]:  # fmt: skip
    """Encoder, decoder and both, with patch embeddings for optical and radar bands; nothing is allocated."""
    with torch.device("meta"):
        encoder = Encoder(
            AttentionShape(*size, channel_dim, rank, form),
            Geometry("rope" if rope else "sincos", ENMAP, patch),
            12,
            operator,
            1.0 if scaled else None,
            radar=(5500.0, 5700.0),
        )
        network = HyperMAE(encoder, decoder_depth=depth)
    return parameters(encoder), parameters(network) - parameters(encoder), parameters(network)


@pytest.mark.parametrize(
    ("rank", "v1", "v2"),
    [
        (1, (83_219_328, 12_588_032, 95_807_360), (83_219_328, 12_588_032, 95_807_360)),
        (2, (86_781_888, 13_122_816, 99_904_704), (88_563_168, 13_390_208, 101_953_376)),
        (4, (93_907_008, 14_192_384, 108_099_392), (99_250_848, 14_994_560, 114_245_408)),
        (8, (108_157_248, 16_331_520, 124_488_768), (120_626_208, 18_203_264, 138_829_472)),
    ],
)
def test_ranks_of_both_forms(rank: int, v1: tuple[int, ...], v2: tuple[int, ...]) -> None:
    assert counted(BASE, 16, 2, "v1", rank) == v1
    assert counted(BASE, 16, 2, "v2", rank) == v2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"size": BASE, "patch": 16, "channel_dim": 4, "scaled": False, "depth": 8}, (72_483_840, 21_526_016, 94_009_856)),
        ({"size": BASE, "patch": 16, "channel_dim": 1}, (123_823_872, 18_574_592, 142_398_464)),
        ({"size": SMALL, "patch": 16, "channel_dim": 2}, (21_045_888, 12_391_424, 33_437_312)),
        ({"size": BASE, "patch": 4, "channel_dim": 4, "rope": True, "depth": 8}, (71_764_992, 21_287_968, 93_052_960)),
        ({"size": BASE, "patch": 16, "channel_dim": 2, "rope": True, "depth": 8}, (83_219_328, 24_517_120, 107_736_448)),
    ],
)  # fmt: skip
def test_sizes_of_both_papers(settings: dict[str, object], expected: tuple[int, ...]) -> None:
    assert counted(**settings) == expected
    if not settings.get("rope"):
        assert counted(**settings, form="v1") == expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("less", (18_360_576, 10_899_968, 29_260_544)),
        ("full", (22_290_048, 13_075_968, 35_366_016)),
        ("additive", (18_377_472, 10_901_760, 29_279_232)),
    ],
)
def test_operators(operator: str, expected: tuple[int, ...]) -> None:
    assert counted(SMALL, 16, 4, rope=True, operator=operator) == expected


@pytest.mark.parametrize(("dim", "patch", "expected"), [(768, 16, 1_575_168), (384, 16, 492_672), (768, 4, 1_206_528)])
def test_patch_embeddings(dim: int, patch: int, expected: int) -> None:
    with torch.device("meta"):
        assert parameters(PatchEmbed(dim, patch)) == expected


def test_one_block_and_its_attention() -> None:
    with torch.device("meta"):
        block = Block(AttentionShape(768, 12, 2), "less", 1.0, 0.0)
    assert parameters(block) == 6_672_096
    assert parameters(block) - parameters(block.mlp) == 1_949_664
    assert OPERATORS.keys() == {"less", "full", "additive", "axial"}
