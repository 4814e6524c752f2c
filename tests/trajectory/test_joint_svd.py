"""The method joint_svd: bases of one decomposition, and ranks that cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks import runner
from benchmarks.errors import BenchmarkError
from benchmarks.methods.eigentrajectory import EigenTrajectory
from benchmarks.methods.joint_svd import JointSVD
from benchmarks.spec import RunSpec


def test_the_bases_span_the_two_parts_of_the_leading_singular_vectors() -> None:
    torch.manual_seed(0)
    paths = (torch.randn(300, 1, 2) + 0.2 * torch.randn(300, 20, 2)).cumsum(1)
    obs, pred = paths[:, :8], paths[:, 8:]
    vectors = np.linalg.svd(paths.reshape(300, -1).T.double().numpy(), full_matrices=False)[0][:, :4]
    found = JointSVD(rank=4).bases(obs, pred)
    assert JointSVD(rank=4).sizes() == tuple(basis.shape[1] for basis in found)
    for basis, part in zip(found, (vectors[:16], vectors[16:]), strict=True):
        np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-10)
        np.testing.assert_allclose(basis @ basis.T, part @ np.linalg.pinv(part), atol=1e-8)
    apart = EigenTrajectory(rank=4).bases(obs, pred)
    assert not torch.allclose(found[0] @ found[0].T, apart[0] @ apart[0].T, atol=1e-3)


def test_a_rank_beyond_the_observed_numbers_is_refused() -> None:
    words = ["task=trajectory", "method=joint_svd", "scale=smoke", "data.pedestrians=30"]
    runner.check(RunSpec.of([*words, "method.rank=16"]))
    with pytest.raises(BenchmarkError, match="17 numbers for observed paths"):
        runner.check(RunSpec.of([*words, "method.rank=17"]))
