"""Other forms of the networks: wide kernels by Fourier transforms or of low rank, the fused form, stages computed twice."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from benchmarks.errors import BenchmarkError
from benchmarks.exporting import export
from benchmarks.models.fft_conv import FFTConv2d, overlap_save, spectrum
from benchmarks.models.lowrank.afm import afm_conv
from benchmarks.models.lowrank.conv import LowRankConv2d
from benchmarks.models.lowrank.moments import collect_input_moments
from benchmarks.models.lowrank.surgery import blueprint, conv_units, replace_module, restore
from benchmarks.models.lowrank.svd import svd_conv
from benchmarks.models.sparse_object import fused
from benchmarks.models.sparse_object.build import build
from benchmarks.models.sparse_object.contrast import Contrast, channels_last
from benchmarks.models.sparse_object.fused import FusedConvLSTM, WideConv, fourier_is_sooner, fuse
from benchmarks.models.sparse_object.published import load_published
from benchmarks.models.sparse_object.rpcanet import RPCANet
from benchmarks.models.sparse_object.rpcanet_pp import RPCANetPlusPlus
from benchmarks.solver import NetworkSolver
from benchmarks.sparse_object.task import SparseObject

SMALL = {"stages": 2, "channels": 8, "sparse_depth": 1, "merge_depth": 1}
KINDS = {
    "plain": (RPCANet, {"lowrank_depth": 1}),
    "memory": (RPCANetPlusPlus, {}),
    "unused": (RPCANetPlusPlus, {"unused": True}),
}


def network_of(kind: str, **options: object) -> nn.Module:
    """A small network in evaluation mode whose normalisations do something."""
    torch.manual_seed(0)
    build_, more = KINDS[kind]
    network = build_(**SMALL, **more, **options)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(std=0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
    return network.eval()


def images(height: int = 70, width: int = 53, n: int = 2) -> torch.Tensor:
    return torch.rand(n, 1, height, width, generator=torch.Generator().manual_seed(1))


def assert_same(found: nn.Module, expected: nn.Module, x: torch.Tensor, share: float = 1e-4) -> None:
    with torch.no_grad():
        for ours, theirs in zip(found(x), expected(x), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=share * theirs.abs().max().item())


@pytest.mark.parametrize("size", [(5, 3), (48, 48), (49, 97), (130, 20)])
@pytest.mark.parametrize("kernel", [3, 17])
def test_tiles_add_up_to_the_convolution(size: tuple[int, int], kernel: int) -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(3, 4, *size, dtype=torch.float64), torch.randn(5, 4, kernel, kernel, dtype=torch.float64)
    expected = conv2d(x, weight, padding=kernel // 2)
    torch.testing.assert_close(overlap_save(x, spectrum(weight), kernel), expected, rtol=0, atol=1e-10)
    short = overlap_save(x.bfloat16(), spectrum(weight.bfloat16()), kernel)
    assert short.dtype == torch.bfloat16


def test_strips_of_a_large_image_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    x, weight = torch.randn(2, 2, 200, 100), torch.randn(2, 2, 17, 17)
    whole = overlap_save(x, spectrum(weight), 17)
    monkeypatch.setattr("benchmarks.models.fft_conv.AT_ONCE", 1)
    torch.testing.assert_close(overlap_save(x, spectrum(weight), 17), whole, rtol=0, atol=1e-4)


def test_fourier_contrast_answers_and_learns_as_the_direct_one() -> None:
    direct, fourier = (network_of("memory", dcpm=dcpm).double() for dcpm in ("direct", "fft"))
    assert list(direct.state_dict()) == list(fourier.state_dict())
    fourier.load_state_dict(direct.state_dict())
    x = images().double()
    assert_same(fourier, direct, x, 1e-9)
    for network in (direct, fourier):
        objects, image = network.train()(x)
        (objects.square().mean() + image.square().mean()).backward()
    gradients = {name: parameter.grad for name, parameter in direct.named_parameters()}
    for name, parameter in fourier.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-6, atol=1e-9)


def test_fourier_contrast_is_the_direct_one_to_single_precision() -> None:
    direct, fourier = (network_of("memory", dcpm=dcpm) for dcpm in ("direct", "fft"))
    fourier.load_state_dict(direct.state_dict())
    assert_same(fourier, direct, images())


@pytest.mark.parametrize("form", [{"dcpm": "direct"}, {"dcpm": "lowrank", "dcpm_rank": 2}])
def test_wide_kernels_alone_keep_channels_first_and_the_answers_stay(form: dict[str, object]) -> None:
    plain = network_of("memory", **form)
    network = channels_last(copy.deepcopy(plain)).train()
    seen: list[torch.Tensor] = []
    contrasts = [module for module in network.modules() if isinstance(module, Contrast)]
    for contrast in contrasts:
        contrast.conv.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    objects, image = network(images(34, 30).to(memory_format=torch.channels_last))
    (objects.square().mean() + image.square().mean()).backward()
    wide = [weight for contrast in contrasts for weight in contrast.conv.parameters() if weight.shape[-1] == 17]
    assert len(wide) == len(seen) == SMALL["stages"]
    assert all(tensor.is_contiguous() and tensor.shape[1] > 1 for tensor in (*seen, *wide))
    assert all(weight.grad.abs().max() > 0 for weight in wide)
    convs = [weight for weight in network.parameters() if weight.ndim == 4 and weight.shape[-1] == 3]
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in convs)
    assert_same(channels_last(copy.deepcopy(plain)), plain, images(34, 30))


def test_a_spectrum_is_kept_until_the_weight_changes() -> None:
    torch.manual_seed(0)
    conv, x = FFTConv2d(3, 3, 17).eval(), torch.randn(1, 3, 20, 20)

    def agrees() -> None:
        torch.testing.assert_close(conv(x), conv2d(x, conv.weight, conv.bias, padding=8), rtol=0, atol=1e-4)

    with torch.no_grad():
        agrees()
        first = conv._spectrum()
        assert conv._spectrum() is first
        conv.weight.mul_(2)
        agrees()
        assert conv._spectrum() is not first
        conv.load_state_dict({name: value + 1 for name, value in conv.state_dict().items()})
        agrees()
        conv.weight = nn.Parameter(torch.randn(3, 3, 17, 17))
        agrees()
        twin = pickle.loads(pickle.dumps(copy.deepcopy(conv)))
        assert twin._kept is None
        conv.double()
        x = x.double()
        agrees()
    assert conv.train()._kept is None
    conv.eval()(x).sum().backward()
    assert conv.weight.grad.abs().max() > 0
    assert conv._kept is None


def test_a_kernel_of_full_rank_is_the_dense_one(tmp_path: Path) -> None:
    dense, full, low = (
        network_of("memory", dcpm=dcpm, dcpm_rank=rank)
        for dcpm, rank in (("direct", 1), ("lowrank", 8), ("lowrank", 2))
    )
    torch.save(dense.state_dict(), tmp_path / "dense.pkl")
    for network in (full, low):
        load_published(network, tmp_path / "dense.pkl")
    assert_same(full, dense, images())
    # Reused, not made anew: it is what svd makes of the dense network's kernel.
    kernel = low.decos[0].sparse.contrast[2].conv
    expected = svd_conv(dense.decos[0].sparse.contrast[2].conv).truncate(2)
    torch.testing.assert_close(kernel.kernel(), expected.kernel())
    torch.save(low.state_dict(), tmp_path / "low.pkl")
    again = network_of("memory", dcpm="lowrank", dcpm_rank=2)
    load_published(again, tmp_path / "low.pkl")
    assert_same(again, low, images(), 1e-6)


def test_a_wide_kernel_is_asked_for_in_a_way_that_exists() -> None:
    with pytest.raises(BenchmarkError, match=r"Unknown dcpm 'ftt'.*fft"):
        build("rpcanet_pp", dcpm="ftt")
    with pytest.raises(BenchmarkError, match=r"dcpm_rank=33.*from 1 to 32"):
        build("rpcanet_pp", dcpm="lowrank", dcpm_rank=33)


@pytest.mark.parametrize("dcpm", ["direct", "fft", "lowrank"])
def test_a_wide_kernel_can_be_factorised_in_each_of_its_ways(dcpm: str) -> None:
    network = network_of("memory", dcpm=dcpm, dcpm_rank=3)
    name = "decos.0.sparse.contrast.2.conv"
    found = conv_units(network, network.keep_dense)
    assert (name in found) == (dcpm != "lowrank")
    assert list(found) == [each for each, _ in network.named_modules() if each in found]
    if dcpm == "lowrank":
        return
    moments = collect_input_moments(network, [name], [images()])[name]
    replace_module(network, name, afm_conv(found[name], moments).truncate(2))
    again = network_of("memory", dcpm=dcpm)
    restore(again, blueprint(network))
    again.load_state_dict(network.state_dict())
    assert_same(again, network, images(), 1e-6)


def compressed(kind: str, rank: int, **options: object) -> nn.Module:
    network = network_of(kind, **options)
    for name, conv in conv_units(network, network.keep_dense).items():
        replace_module(network, name, svd_conv(conv).truncate(rank))
    return network.eval()


FORMS = {
    **{kind: lambda kind=kind: network_of(kind) for kind in KINDS},
    "fft": lambda: network_of("memory", dcpm="fft"),
    "lowrank": lambda: network_of("memory", dcpm="lowrank", dcpm_rank=3),
    "svd plain": lambda: compressed("plain", 2),
    "svd memory": lambda: compressed("memory", 2),
    "svd of full rank": lambda: compressed("unused", 8),
    "afm": lambda: by_afm("memory"),
}


def by_afm(kind: str) -> nn.Module:
    """With biases between the factors, which a fused form has to keep or to multiply out."""
    network = network_of(kind)
    convs = conv_units(network, network.keep_dense)
    for place, (name, moments) in enumerate(collect_input_moments(network, convs, [images()]).items()):
        replace_module(network, name, afm_conv(convs[name], moments).truncate(3 + 5 * (place % 2)))
    return network.eval()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [(70, 53), (9, 6)])
def test_a_fused_network_answers_as_it_did(form: str, size: tuple[int, int]) -> None:
    network = FORMS[form]()
    before = copy.deepcopy(network.state_dict())
    quick = fuse(network)
    assert_same(quick, network, images(*size), 1e-5)
    with torch.no_grad():
        for ours, theirs in zip(quick.decompose(images(*size)), network.decompose(images(*size)), strict=True):
            torch.testing.assert_close(ours.background, theirs.background, rtol=1e-4, atol=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in quick.modules())
    assert not any(parameter.requires_grad for parameter in quick.parameters())


def test_a_fused_memory_is_one_convolution_without_what_never_acts() -> None:
    quick = fuse(network_of("unused")).network
    shapes = [tuple(stage.lowrank.ConvLSTM.conv.weight.shape) for stage in quick.decos]
    assert shapes == [(24, 8, 3, 3), (32, 16, 3, 3)]
    assert all(isinstance(stage.lowrank.ConvLSTM, FusedConvLSTM) for stage in quick.decos)
    lean = fuse(compressed("unused", 2)).network.decos[0].lowrank.ConvLSTM
    assert {name for name, _ in lean.named_children()} == {"conv_xi", "conv_xo", "conv_xj"}
    assert isinstance(lean.conv_xi, LowRankConv2d)


def test_wide_kernels_go_the_way_that_is_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not fourier_is_sooner(1, 17, 17, 17)
    assert fourier_is_sooner(1, 256, 256, 17)
    taken: list[tuple[int, ...]] = []
    monkeypatch.setattr(fused, "overlap_save", lambda x, *rest: taken.append(tuple(x.shape)) or overlap_save(x, *rest))
    conv = WideConv(Contrast(2).conv)
    for size in (17, 100):
        conv(torch.zeros(1, 2, size, size))
    assert taken == [(1, 2, 100, 100)]


def test_what_has_no_fused_form_is_refused_and_exported_as_it_is() -> None:
    with pytest.raises(BenchmarkError, match="TopHat"):
        fuse(build("tophat"))
    task = SparseObject()
    network = task.network("tophat", {}, {"centre": 0, "spread": 255, "crop": 0})
    assert task.exported(network) is network


def test_the_fused_form_is_what_is_exported(tmp_path: Path) -> None:
    schema = {"height": 40, "width": 36, "centre": 20.0, "spread": 90.0, "crop": 0}
    task = SparseObject()
    network = network_of("memory")
    network.centre, network.spread, network.crop, network.multiple = 20.0, 90.0, 0, 1
    solver = NetworkSolver(task, network, schema)
    assert type(task.exported(network)) is fused.FusedRPCANet
    export(solver, tmp_path / "network.pt2")
    batch = task.example(schema, 3)
    found = torch.export.load(tmp_path / "network.pt2").module()(**batch)["probability"]
    expected = solver.predict({"image": batch["image"].numpy()})["probability"]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("kind", ["plain", "memory"])
def test_stages_that_are_computed_twice_learn_the_same(kind: str) -> None:
    once, twice = (network_of(kind, checkpoint=checkpoint).double().train() for checkpoint in (False, True))
    x = images(20, 18).double()
    held = []
    for network in (once, twice):
        kept: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, kept=kept: kept.append(t.numel()) or t, lambda t: t):
            objects, image = network(x)
        held.append(sum(kept))
        (objects.square().mean() + image.square().mean()).backward()
    for (name, ours), (_, theirs) in zip(twice.named_parameters(), once.named_parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-9, atol=1e-12, msg=name)
    for (name, ours), (_, theirs) in zip(twice.named_buffers(), once.named_buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)
    assert held[1] < held[0] / 3
    assert all(module.momentum == 0.1 for module in twice.modules() if isinstance(module, nn.BatchNorm2d))
