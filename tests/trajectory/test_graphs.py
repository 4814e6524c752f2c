"""The graphs of the social predictors against dense, window by window renderings of their equations."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.models.trajectory.build import build
from benchmarks.models.trajectory.forecaster import Forecaster, Observation
from benchmarks.models.trajectory.sgcn import EPSILON, Attention, PedestrianGraph, RowGraph, SGCNPredictor
from benchmarks.models.trajectory.social import encounter
from benchmarks.models.trajectory.stgcnn import by_sample, encounters, mix

GROUP = torch.tensor([0, 0, 0, 0, 1, 2, 2, 2])


def seen() -> Observation:
    """Coefficients of three windows of four, one and three pedestrians, in float64."""
    torch.manual_seed(0)
    network = build("anchors", 8, 12, space={"obs_rank": 3, "rank": 3, "samples": 2, "classes": 2})
    assert isinstance(network, Forecaster)
    torch.nn.init.orthogonal_(network.obs_basis[0])
    torch.nn.init.orthogonal_(network.obs_basis[1])
    obs = torch.randn(len(GROUP), 8, 2, dtype=torch.float64).cumsum(1)
    return network.double().observe(obs, GROUP)


def full_attention(attention: Attention, numbers: Tensor) -> Tensor:
    """Scores of all queries and keys, from embeddings of full width and with a bias of keys: [n] -> [heads, n, n]."""
    embedded = attention.embedding(numbers[:, None])
    queries = attention.query(embedded).unflatten(1, (attention.heads, -1))
    keys = (attention.key(embedded) + 0.7).unflatten(1, (attention.heads, -1))
    return torch.einsum("ihd,jhd->hij", queries, keys) / queries.shape[2] ** 0.5


def zero_softmax(x: Tensor) -> Tensor:
    raised = (x.exp() - 1) ** 2
    return raised / (raised.sum(-1, keepdim=True) + EPSILON)


def kept(mask: Tensor) -> Tensor:
    return mask.sigmoid() * (mask > 0)


def test_the_graph_convolution_is_a_product_with_each_normalised_adjacency() -> None:
    given = seen()
    rows = torch.randn(len(GROUP), 5, dtype=torch.float64)
    mixed = mix(rows, given)
    assert mixed.shape == (8, 4, 5)
    for window in range(3):
        members = (window == GROUP).nonzero()[:, 0]
        for kernel in range(4):
            place = given.obs[members, -1] if kernel == 3 else given.coefficients[members, kernel, None]
            adjacency = 1 / (1 + torch.cdist(place, place))
            degree = torch.diag(adjacency.sum(1) ** -0.5)
            torch.testing.assert_close(mixed[members, kernel], degree @ adjacency @ degree @ rows[members])


def test_sparse_graphs_are_learnt_in_bfloat16_too() -> None:
    torch.manual_seed(0)
    graph, rows = PedestrianGraph(5, 8, 2, 3), torch.randn(len(GROUP), 5)
    one, other = encounters(GROUP)
    with torch.autocast("cpu", torch.bfloat16):
        found = graph(rows, one, other)
    found.float().square().sum().backward()
    assert all(each.grad is None or each.grad.isfinite().all() for each in graph.parameters())
    torch.testing.assert_close(found.float(), graph(rows, one, other), atol=0.05, rtol=0.05)


def test_pedestrians_of_a_window_are_paired_with_all_of_it_and_themselves() -> None:
    one, other = encounters(GROUP)
    assert len(one) == 16 + 1 + 9
    assert torch.equal(GROUP[one], GROUP[other])
    assert len(torch.stack([one, other]).unique(dim=1).T) == len(one)


def test_sparse_attention_between_pedestrians_is_that_of_full_queries_and_keys() -> None:
    torch.manual_seed(0)
    graph = PedestrianGraph(5, 8, 2, 3).double()
    rows = torch.randn(len(GROUP), 5, dtype=torch.float64)
    one, other = encounters(GROUP)
    edges = graph(rows, one, other)
    for window in range(3):
        members = (window == GROUP).nonzero()[:, 0]
        x = rows[members]
        dense = torch.stack([full_attention(graph.attention, x[:, t]).softmax(2) for t in range(5)])
        mask = graph.fuse_act(
            torch.einsum("st,thij->shij", graph.fuse.weight, dense) + graph.fuse.bias.view(-1, 1, 1, 1)
        )
        mask = mask + dense
        for layer, act in zip(graph.mask, graph.acts, strict=True):
            mask = act(torch.einsum("gh,thij->tgij", layer.weight, mask) + layer.bias.view(-1, 1, 1)) + mask
        expected = zero_softmax(dense * (kept(mask) + torch.eye(len(members))))
        for i, first in enumerate(members):
            for j, second in enumerate(members):
                pair = ((one == first) & (other == second)).nonzero().item()
                torch.testing.assert_close(edges[pair], expected[:, :, i, j])


def test_sparse_attention_between_rows_adds_the_identity_to_the_diagonal_alone() -> None:
    torch.manual_seed(0)
    graph = RowGraph(8, 2, 3).double()
    rows = torch.randn(4, 5, dtype=torch.float64)
    edges = graph(rows)
    for pedestrian in range(4):
        dense = full_attention(graph.attention, rows[pedestrian]).softmax(2)
        mask = dense[None]
        for layer in graph.mask:
            mask = layer.act(layer.column(mask) + layer.row(mask)) + mask
        torch.testing.assert_close(edges[pedestrian], zero_softmax(dense * (kept(mask[0]) + torch.eye(5))))


def test_both_branches_convolve_over_pedestrians_and_rows_in_either_order() -> None:
    given = seen()
    network = SGCNPredictor(3, 20, zero_start=False, samples=4, width=8, heads=2).double()
    rows = torch.cat([given.coefficients, 0.1 * given.offset()], 1)
    one, other = encounters(GROUP)
    pairs, between_rows = network.pedestrians(rows, one, other), network.rows(rows)
    between_pedestrians = torch.zeros(8, 8, 5, 2, dtype=torch.float64).index_put((one, other), pairs)

    def over_pedestrians(x: Tensor) -> Tensor:
        return torch.einsum("ijth,jthd->ithd", between_pedestrians, x)

    def over_rows(x: Tensor) -> Tensor:
        return torch.einsum("bhtu,buhd->bthd", between_rows, x)

    x = rows[:, :, None, None].expand(-1, -1, 2, -1)
    first = network.after[0](over_rows(network.before[0](over_pedestrians(x))))
    second = network.after[1](over_pedestrians(network.before[1](over_rows(x))))
    x = torch.einsum("gh,bthd->btgd", network.mix_heads.weight, first) + second
    for index, (layer, act) in enumerate(zip(network.extrapolate.layers, network.extrapolate.acts, strict=True)):
        x = act(layer(x)) + (x if index else 0)
    torch.testing.assert_close(network(given), by_sample(network.out(x).mean(2)))


def test_a_channel_is_an_anchor_and_the_last_row_its_logits() -> None:
    x = torch.arange(24.0).view(1, 4, 6)
    changes = by_sample(x)[0]
    for sample in range(6):
        assert changes[3 * sample : 3 * sample + 3].tolist() == x[0, :3, sample].tolist()
    assert changes[18:].tolist() == x[0, 3].tolist()


def test_a_neighbour_is_seen_along_and_across_the_own_heading_and_where_it_comes_nearest() -> None:
    steps = torch.arange(-7.0, 1, dtype=torch.float64)[:, None]
    obs = torch.stack([steps * torch.tensor([0.0, 0.5]), torch.tensor([3.0, 4.0]) + steps * torch.tensor([0.0, -0.5])])
    network = build("anchors", 8, 12)
    assert isinstance(network, Forecaster)
    frames = network.double().observe(obs, torch.tensor([0, 0]))
    # The other is 4 m ahead and 3 m to the right, and comes towards the one at 1 m a step: beside it in 4 steps.
    expected = torch.tensor([[0.4, -0.3, -1.0, 0.0, 1 / 6, 4 / 12, 1 / 4]], dtype=torch.float64)
    torch.testing.assert_close(encounter(frames, torch.tensor([0]), torch.tensor([1])), expected)
    torch.testing.assert_close(encounter(frames, torch.tensor([1]), torch.tensor([0])), expected)
