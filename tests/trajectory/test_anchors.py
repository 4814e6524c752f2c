from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans

from benchmarks.errors import BenchmarkError
from benchmarks.models.trajectory import anchors
from benchmarks.models.trajectory.anchors import kmeans


def blobs(points: int = 3000, seed: int = 0) -> torch.Tensor:
    """Overlapping groups of unequal size, far from the origin."""
    generator = torch.Generator().manual_seed(seed)
    middles = torch.randn(12, 6, generator=generator) * 3 + 40
    group = (torch.rand(points, generator=generator).square() * 12).long()
    return middles[group] + torch.randn(points, 6, generator=generator)


def inertia(points: torch.Tensor, centres: torch.Tensor) -> float:
    return torch.cdist(points.double(), centres.double()).amin(1).square().sum().item()


@pytest.mark.parametrize("clusters", [1, 2, 12, 20])
def test_inertia_is_that_of_scikit_learn_or_better(clusters: int) -> None:
    points = blobs()
    centres, counts = kmeans(points, clusters)
    expected = KMeans(clusters, n_init=10, random_state=0).fit(points.numpy()).inertia_
    assert inertia(points, centres) <= 1.01 * expected
    assert counts.sum() == len(points)


def test_centres_are_the_means_of_the_points_nearest_to_them_in_falling_order_of_counts() -> None:
    points = blobs(seed=1).double()
    centres, counts = kmeans(points, 8)
    labels = torch.cdist(points, centres).argmin(1)
    assert torch.equal(labels.bincount(minlength=8), counts)
    assert (counts.diff() <= 0).all()
    means = torch.stack([points[labels == cluster].mean(0) for cluster in range(8)])
    assert (centres - means).norm(dim=1).max() < 0.1
    assert centres.dtype == torch.float64
    assert counts.dtype == torch.int64


def test_separate_groups_are_found_whatever_their_size() -> None:
    generator = torch.Generator().manual_seed(0)
    middles = 100 * torch.eye(5)
    points = middles.repeat_interleave(torch.tensor([400, 100, 30, 5, 1]), dim=0)
    points = points + 0.1 * torch.randn(points.shape, generator=generator)
    centres, counts = kmeans(points, 5, restarts=1)
    assert counts.tolist() == [400, 100, 30, 5, 1]
    assert (centres - middles).norm(dim=1).max() < 0.5


def test_equal_seeds_agree_and_more_restarts_are_never_worse() -> None:
    points = blobs()
    first, again = (kmeans(points, 12, seed=3) for _ in range(2))
    assert all(torch.equal(*pair) for pair in zip(first, again, strict=True))
    assert inertia(points, first[0]) <= inertia(points, kmeans(points, 12, restarts=1, seed=3)[0])


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    points = blobs(500)
    whole = kmeans(points, 6)
    monkeypatch.setattr(anchors, "CHUNK", 33)
    for found, expected in zip(kmeans(points, 6), whole, strict=True):
        torch.testing.assert_close(found, expected)


def test_as_many_clusters_as_points_put_a_centre_on_each() -> None:
    points = torch.arange(10.0)[:, None].repeat(1, 2)
    centres, counts = kmeans(points, 10)
    torch.testing.assert_close(centres[:, 0].sort().values, torch.arange(10.0))
    assert counts.tolist() == [1] * 10


def test_fewer_distinct_points_than_clusters_leave_the_rest_empty() -> None:
    points = torch.tensor([[0.0, 0.0], [5.0, 1.0]]).repeat(20, 1)
    centres, counts = kmeans(points, 4)
    assert counts.tolist() == [20, 20, 0, 0]
    assert inertia(points, centres) == pytest.approx(0, abs=1e-9)
    assert torch.isfinite(centres).all()


def test_an_empty_cluster_goes_to_the_farthest_point(monkeypatch: pytest.MonkeyPatch) -> None:
    points = torch.cat((torch.zeros(30, 2), torch.ones(30, 2), torch.tensor([[9.0, 9.0]])))
    start = torch.tensor([[0.0, 0.0], [1.0, 1.0], [50.0, 50.0]]) - points.mean(0)
    monkeypatch.setattr(anchors, "_plus_plus", lambda *_: start[None].clone())
    centres, counts = kmeans(points, 3, restarts=1)
    assert counts.tolist() == [30, 30, 1]
    torch.testing.assert_close(centres[2], torch.tensor([9.0, 9.0]))


@pytest.mark.parametrize("clusters", [0, 11])
def test_a_number_of_clusters_that_the_points_do_not_allow_is_refused(clusters: int) -> None:
    with pytest.raises(BenchmarkError, match=rf"10 points .* {clusters} clusters.* from 1 to 10"):
        kmeans(torch.zeros(10, 2), clusters)


def test_points_that_are_not_finite_are_refused() -> None:
    points = blobs(50)
    points[3, 2] = np.nan
    with pytest.raises(BenchmarkError, match="NaN or infinity"):
        kmeans(points, 3)
