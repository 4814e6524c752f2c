"""Segment Anything: masks of the official code, its checkpoints both ways, images of any size, and what adapters act on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from timm.models.vision_transformer_sam import checkpoint_filter_fn

from benchmarks.errors import BenchmarkError
from benchmarks.medseg.task import MedSeg
from benchmarks.method import Adapt
from benchmarks.methods.lora import LoRA
from benchmarks.methods.norms import Norms
from benchmarks.methods.salt import SALT
from benchmarks.methods.ssam import SSAM
from benchmarks.models.lowrank.surgery import conv_units, whole_linear_units
from benchmarks.models.medseg.build import build
from benchmarks.models.medseg.promptable import load_published
from benchmarks.models.medseg.sam import SAM, official
from benchmarks.solver import NetworkSolver
from benchmarks.solver import build as build_for
from benchmarks.spec import RunSpec

SIDE = 96
TINY = {
    "image_size": SIDE, "channels": 32, "embed_dim": 32, "depth": 3, "num_heads": 2, "window_size": 4, "global_blocks": [2],
}  # fmt: skip


def tiny(**changes: int) -> SAM:
    torch.manual_seed(0)
    return SAM(**{**TINY, **changes}).eval()


def checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """A file in the official layout, filled name by name."""
    random = np.random.default_rng(0)
    state = {}
    for name, value in sorted(official(tiny()).items()):
        centre = 1 if name.endswith(("norm1.weight", "norm2.weight")) else 0
        state[name] = torch.from_numpy(random.normal(centre, 0.3, tuple(value.shape)).astype(np.float32))
    torch.save(state, path)
    return state


def waves() -> torch.Tensor:
    """An image [1, 3, 96, 96] from 0 to 1."""
    y, x = np.mgrid[:SIDE, :SIDE]
    levels = np.stack([np.sin(x / (5 + channel)) * np.cos(y / (9 - channel)) for channel in range(3)])
    return torch.from_numpy(((levels - levels.min()) / (levels.max() - levels.min())).astype(np.float32))[None]


def test_a_checkpoint_in_the_official_layout_gives_the_masks_of_the_official_code(tmp_path: Path) -> None:
    """Figures are those of segment-anything 1.0, an encoder of these sizes, with the same weights, image and box."""
    state, network = checkpoint(tmp_path / "sam.pth"), tiny()
    network.side = SIDE
    load_published(network, tmp_path / "sam.pth")
    with torch.inference_mode():
        embedding = network.image_encoder.forward_features((waves() - network.mean) / network.std)
        mask = network(waves())
    assert (embedding.shape, mask.shape) == ((1, 32, 6, 6), (1, 1, SIDE, SIDE))
    assert embedding.mean().item() == pytest.approx(-0.0154419, abs=1e-5)
    assert embedding.std().item() == pytest.approx(0.4398260, abs=1e-5)
    assert embedding[0, :4, 2, 3].tolist() == pytest.approx([-0.0016325, 0.4356971, -0.1651805, 0.7079948], abs=1e-5)
    assert mask.std().item() == pytest.approx(0.0768439, abs=1e-5)
    rows, columns = [0, 10, 48, 95], [0, 90, 48, 33]
    assert mask[0, 0, rows, columns].tolist() == pytest.approx([0.1475184, 0.1434262, 0.0543071, -0.0170722], abs=1e-5)
    again = official(network)
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], value) for name, value in state.items())


def test_names_of_the_encoder_are_those_that_timm_makes_of_a_checkpoint(tmp_path: Path) -> None:
    state, network = checkpoint(tmp_path / "sam.pth"), tiny()
    load_published(network, tmp_path / "sam.pth")
    theirs, ours = checkpoint_filter_fn(state, network.image_encoder), network.image_encoder.state_dict()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], value) for name, value in ours.items())


def test_images_of_any_fitting_size_are_answered_at_their_size_each_by_itself() -> None:
    network, image = tiny(), torch.rand(2, 3, 48, 112)
    with torch.no_grad():
        both = network(image)
        assert both.shape == (2, 1, 48, 112)
        torch.testing.assert_close(both[1:], network(image[1:]), atol=1e-5, rtol=1e-5)


def test_positions_may_be_held_for_other_images_than_a_checkpoint_was_made_with(tmp_path: Path) -> None:
    checkpoint(tmp_path / "sam.pth")
    same, smaller = tiny(), tiny(image_size=64)
    for network in (same, smaller):
        load_published(network, tmp_path / "sam.pth")
    assert smaller.image_encoder.pos_embed.shape == (1, 4, 4, 32)
    assert smaller.image_encoder.blocks[2].attn.rel_pos_h.shape == (7, 16)
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(smaller(image), same(image), atol=1e-5, rtol=1e-5)
        assert not torch.allclose(smaller(image), tiny()(image), atol=1e-2)


def test_a_file_that_does_not_fit_is_refused_with_the_names_that_differ(tmp_path: Path) -> None:
    state, network = checkpoint(tmp_path / "sam.pth"), tiny()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    del state["image_encoder.blocks.1.mlp.lin1.weight"], state["mask_decoder.iou_token.weight"]
    state["image_encoder.blocks.9.norm1.bias"] = torch.zeros(32)
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(
        BenchmarkError,
        match=r"2 missing: image_encoder\.blocks\.1\.mlp\.fc1\.weight, mask_decoder\.iou_token\.weight; "
        r"1 unexpected: image_encoder\.blocks\.9\.norm1\.bias\. Choose model\.encoder=",
    ):
        load_published(network, tmp_path / "other.pth")
    wide = tiny(embed_dim=64)
    with pytest.raises(BenchmarkError, match=r"blocks\.0\.attn\.proj\.bias \(32,\) for \(64,\)"):
        load_published(wide, tmp_path / "sam.pth")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(BenchmarkError, match="Unknown encoder of model sam: 'samvit_bas'"):
        build("sam", encoder="samvit_bas")
    with pytest.raises(ValueError, match="multiple of 16"):
        build("sam", image_size=100)


def test_adapters_train_the_blocks_and_the_prompt_beside_and_leave_all_else() -> None:
    task = MedSeg(flips=False)
    network = LoRA(rank=2).attached(task.network("sam", TINY, {"height": 60, "width": 50, "crop": 0}), None)
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(256, (2, 60, 50, 3), generator=generator, dtype=torch.uint8)
    task.loss(network, {"image": image, "mask": image[..., 0] > 128}).backward()
    trained = {name for name, value in network.named_parameters() if value.requires_grad}
    assert {name.partition(".")[0] for name in trained} == {"image_encoder", "mask_decoder", "prompt"}
    assert all("parametrizations" in name for name in trained if name.startswith("image_encoder"))
    assert network.prompt.grad.any()
    with torch.no_grad():
        assert task.predict(network, {"image": image})["probability"].shape == (2, 60, 50)


def test_a_network_is_found_again_as_it_was_saved(tmp_path: Path) -> None:
    task, schema = MedSeg(), {"height": 48, "width": 48, "crop": 0}
    torch.manual_seed(0)
    solver = NetworkSolver(task, build_for(task, "sam", TINY, schema), schema)
    image = np.random.default_rng(0).integers(0, 255, (1, 48, 48, 3), dtype=np.uint8)
    before = solver.predict({"image": image})["probability"]
    solver.save(tmp_path)
    assert np.array_equal(NetworkSolver.load(task, tmp_path).predict({"image": image})["probability"], before)


BLOCK_NORMS, BESIDE = 36_864, 73_952 + 139_808 + 512
"""Of SAM ViT-B: two layer norms a block; upscaling, the filter of the first mask, and two tokens of a prompt."""


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        (Norms(), BLOCK_NORMS),
        (SSAM(), 73_728),
        (LoRA(rank=4), 589_824),
        (SALT(top=500, rank=4), 48 * (2 * 500 + 2 * 268 * 4)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Adapt) else "",
)
def test_sizes_are_those_of_sam_b(method: Adapt, trained: int) -> None:
    with torch.device("meta"):
        network = build("sam")
    parts = {name: sum(value.numel() for value in part.parameters()) for name, part in network.named_children()}
    assert parts == {"image_encoder": 89_670_912, "prompt_encoder": 6_220, "mask_decoder": 4_058_340}
    assert (len(whole_linear_units(network)), conv_units(network, network.keep_dense)) == (48, {})
    attached = method.attached(network, None)
    assert sum(value.numel() for value in attached.parameters() if value.requires_grad) == trained + BESIDE


def test_runs_begin_with_published_weights_but_for_smoke() -> None:
    words = ["task=medseg", "model=sam", "method=lora"]
    assert RunSpec.of(words).config["weights"] == "sam_vit_b"
    assert RunSpec.of(words).weights_sha256.startswith("ec2df6")
    assert RunSpec.of([*words, "scale=smoke"]).config["weights"] is None
    assert RunSpec.of([*words, "weights=null"]).weights_sha256 is None
