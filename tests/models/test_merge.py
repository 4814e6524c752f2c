"""A table's projections in the layer that reads it: the same answers from fewer numbers, in every network that names a reader."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from benchmarks.models.ctr.build import NETWORKS, build
from benchmarks.models.ctr.fused import fuse
from benchmarks.models.lowrank.afm import afm_embedding
from benchmarks.models.lowrank.merge import MergedLinear, embed
from benchmarks.models.lowrank.surgery import blueprint, put_low_rank_table, replace_module, restore
from benchmarks.models.lowrank.svd import svd_embedding

ROWS = (50, 2, 9, 30)
DIM, RANK = 6, 4
READERS = [name for name, kind in NETWORKS.items() if getattr(kind, "reads_rows", None)]


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def network_of(name: str) -> nn.Module:
    return build(name, ROWS, embedding_dim=DIM, hidden_units=(12, 8), std=1.0).eval()


def ids_of(batch: int) -> torch.Tensor:
    return torch.stack([torch.randint(rows, (batch,)) for rows in ROWS], dim=1)


def compressed(name: str, rank: int = RANK, centred: bool = True) -> tuple[nn.Module, nn.Module]:
    """The network with a low-rank table that no layer has taken up, and with one that is merged."""
    unmerged, merged = network_of(name), network_of(name)
    merged.load_state_dict(unmerged.state_dict())
    for network, put in ((unmerged, replace_module), (merged, put_low_rank_table)):
        counts = torch.arange(sum(ROWS)) + 1
        factors = afm_embedding(network.embedding, counts) if centred else svd_embedding(network.embedding)
        put(network, "embedding", factors.truncate(rank))
    return unmerged, merged


def test_the_networks_that_read_rows_side_by_side_are_those_of_the_paper_and_its_kin() -> None:
    assert {"deepfm", "dcn", "autoint"} <= set(READERS)
    assert not {"nfm", "fibinet"} & set(READERS)


@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize("name", READERS)
def test_merged_and_unmerged_answer_alike(name: str, centred: bool) -> None:
    unmerged, merged = compressed(name, centred=centred)
    ids = ids_of(64)
    torch.testing.assert_close(merged(ids), unmerged(ids), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", READERS)
def test_the_reader_has_rank_inputs_a_field(name: str) -> None:
    dense, (_, merged) = network_of(name), compressed(name)
    reader = merged.get_submodule("mlp.hidden.0.linear")
    assert isinstance(reader, MergedLinear)
    assert reader.in_features == len(ROWS) * RANK
    saved = 12 * len(ROWS) * (DIM - RANK)
    assert dense.get_submodule("mlp.hidden.0.linear").weight.numel() - reader.weight.numel() == saved


@pytest.mark.parametrize("name", READERS)
def test_a_merged_network_is_rebuilt_from_its_description_and_weights(name: str) -> None:
    _, merged = compressed(name)
    again = network_of(name)
    restore(again, blueprint(merged))
    again.load_state_dict(merged.state_dict())
    ids = ids_of(16)
    assert torch.equal(again.eval()(ids), merged(ids))


@pytest.mark.parametrize("name", READERS)
def test_gradients_reach_every_parameter_of_a_merged_network(name: str) -> None:
    _, merged = compressed(name)
    merged.train()(ids_of(64)).square().sum().backward()
    unreached = [name for name, parameter in merged.named_parameters() if parameter.grad is None]
    assert not unreached


def test_the_fused_form_of_a_merged_network_answers_alike_once_both_have_trained_apart() -> None:
    _, merged = compressed("deepfm")
    with torch.no_grad():
        for parameter in merged.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    ids = ids_of(64)
    torch.testing.assert_close(fuse(merged)(ids), merged(ids), rtol=1e-4, atol=1e-5)


def test_embed_gives_rows_twice_for_a_table_that_is_not_merged() -> None:
    network = network_of("deepfm")
    rows, read = embed(network.embedding, ids_of(5))
    assert torch.equal(rows.flatten(1), read)
    assert read.shape == (5, len(ROWS) * DIM)
