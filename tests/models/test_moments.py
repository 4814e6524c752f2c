from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.lowrank import moments as moments_module
from benchmarks.models.lowrank.moments import InputMoments, OutputMoments, collect_input_moments


def test_moments_are_those_of_numpy_over_uneven_batches() -> None:
    torch.manual_seed(0)
    x = torch.randn(103, 4, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1, 2.0]) + 7
    moments = InputMoments(4)
    for batch in x.split(25):
        moments.update(batch)
    assert moments.count == 103
    np.testing.assert_allclose(moments.mean.numpy(), x.numpy().mean(0))
    np.testing.assert_allclose(moments.covariance.numpy(), np.cov(x.numpy().T, bias=True), atol=1e-12)


def test_a_mean_far_above_the_spread_does_not_cancel_the_covariance() -> None:
    torch.manual_seed(0)
    noise = torch.randn(400, 3, dtype=torch.float64)
    moments = InputMoments(3)
    for batch in (noise + 2**30).split(100):
        moments.update(batch)
    np.testing.assert_allclose(moments.covariance.numpy(), np.cov(noise.numpy().T, bias=True), rtol=1e-5, atol=1e-6)


def test_output_moments_are_those_of_the_outputs() -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(6, 4, dtype=torch.float64), torch.randn(2, 50, 6, dtype=torch.float64)
    moments = InputMoments(6)
    moments.update(x)
    mean, covariance = moments.output(linear)
    y = linear(x).detach().reshape(-1, 4).numpy()
    np.testing.assert_allclose(mean.numpy(), y.mean(0))
    np.testing.assert_allclose(covariance.numpy(), np.cov(y.T, bias=True), atol=1e-12)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3))


def test_collection_sees_evaluation_mode_and_changes_nothing() -> None:
    net, x = network(), torch.randn(64, 5)
    net[1].eval()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    moments = collect_input_moments(net, ["3"], x.split(10))
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert not any(module._forward_pre_hooks for module in net.modules())
    expected = net.eval()[:3](x).double().mean(0)
    torch.testing.assert_close(moments["3"].mean, expected.detach(), rtol=1e-6, atol=1e-7)


def test_forward_unpacks_batches() -> None:
    net, x = network(), torch.randn(20, 5)
    batches = [{"x": part} for part in x.split(10)]
    moments = collect_input_moments(net, ["0"], batches, forward=lambda batch: net(batch["x"]))
    torch.testing.assert_close(moments["0"].mean, x.double().mean(0))


def test_of_many_pixels_a_sample_is_taken_that_has_their_moments() -> None:
    torch.manual_seed(0)
    mix = torch.tensor([[1.0, 0.0, 0.0], [0.7, 0.5, 0.0], [0.0, 0.2, 2.0]])
    images = torch.einsum("ij,njhw->nihw", mix, torch.randn(2, 3, 200, 300)) + 5
    pixels = images.movedim(1, -1).reshape(-1, 3).double()
    found = {}
    for form in (torch.contiguous_format, torch.channels_last):
        for most in (1000, 10**9):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(moments_module, "PLACES", most)
                moments = found[form, most] = OutputMoments(3)
                moments.update_from(images.to(memory_format=form))
                moments.update_from(images.to(memory_format=form))
                assert moments.count == 2 * min(most, len(pixels))
        torch.testing.assert_close(found[form, 10**9].covariance, torch.from_numpy(np.cov(pixels.numpy().T, bias=True)))
        torch.testing.assert_close(found[form, 1000].mean, pixels.mean(0), atol=0.15, rtol=0)
        torch.testing.assert_close(found[form, 1000].covariance, found[form, 10**9].covariance, atol=0.4, rtol=0)
    torch.testing.assert_close(
        found[torch.contiguous_format, 1000].covariance, found[torch.channels_last, 1000].covariance
    )


def test_hooks_and_modes_are_undone_when_a_batch_fails() -> None:
    net = network()
    with pytest.raises(RuntimeError):
        collect_input_moments(net, ["0", "3"], [torch.randn(4, 7)])
    assert not any(module._forward_pre_hooks for module in net.modules())
    assert net.training


def test_without_rows_the_layer_is_named() -> None:
    with pytest.raises(BenchmarkError, match="No calibration row reached 3"):
        collect_input_moments(network(), ["3"], [])
