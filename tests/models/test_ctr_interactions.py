"""The interactions of click networks against their papers' equations, written out term by term."""

from __future__ import annotations

from itertools import combinations, product
from math import exp, sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.autoint import FieldAttention
from benchmarks.models.ctr.build import build
from benchmarks.models.ctr.dcn import CrossLayer
from benchmarks.models.ctr.dcnv2 import MatrixCrossLayer, MixtureCrossLayer
from benchmarks.models.ctr.fibinet import BILINEAR, BilinearInteraction, FieldExcitation
from benchmarks.models.ctr.finalmlp import BilinearFusion
from benchmarks.models.ctr.interaction import bi_interaction
from benchmarks.models.ctr.masknet import FieldNorm, MaskBlock
from benchmarks.models.ctr.xdeepfm import CompressedInteraction
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.allocate import break_even
from benchmarks.models.lowrank.surgery import embedding_units, linear_units
from benchmarks.models.lowrank.svd import svd_linear

SMALL = (5, 9, 3, 4)
FRAPPE = (957, 4082, 7, 7, 2, 3, 2, 9, 80, 233)
BARS = (955, 4083, 8, 8, 3, 4, 3, 10, 81, 234)
"""Frappe in BARS: ids of its train file and a row for unknown ones in each field, 5,389 in all; ours has 5,382."""
BARS_PADDED = (956, 4084, 9, 9, 4, 5, 4, 11, 82, 235)
"""The same with a row for padding, as in BARS's later runs."""

TINY: dict[str, dict[str, Any]] = {
    "nfm": {},
    "dcn": {"cross_layers": 2},
    "dcnv2": {"cross_layers": 2},
    "dcnv2 mixture": {"cross_layers": 2, "low_rank": 2, "experts": 3},
    "xdeepfm": {"cin_maps": (4, 2)},
    "autoint": {"attention_layers": 2, "attention_dim": 6, "heads": 2},
    "fibinet": {"bilinear": "field_each"},
    "masknet": {"blocks": 2, "block_dim": 5, "embedding_norm": True},
    "finalmlp": {"second_hidden_units": (6,), "gate_hidden_units": (5,), "heads": 2},
    "finalmlp without context": {
        "first_context": (),
        "second_context": (1, 2),
        "heads": 2,
        "second_hidden_units": (6,),
    },
}


def tiny(name: str, **changes: Any) -> nn.Module:
    """A small network of large weights in float64."""
    torch.manual_seed(0)
    options = {"embedding_dim": 3, "hidden_units": (8, 8), "std": 1.0, **TINY[name], **changes}
    return build(name.split()[0], SMALL, **options).double()


def small_ids(batch: int = 16) -> Tensor:
    torch.manual_seed(1)
    return torch.stack([torch.randint(rows, (batch,)) for rows in SMALL], dim=1)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


def prepared(module: nn.Module) -> Any:
    """In float64, without dropout, and with nothing left at zero or one."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in module.double().eval().parameters():
            parameter.copy_(random(*parameter.shape))
    return module


def softmax(scores: list[float]) -> list[float]:
    return [exp(score) / sum(map(exp, scores)) for score in scores]


def test_the_pooled_products_are_those_of_all_pairs() -> None:
    torch.manual_seed(0)
    e = random(4, 5, 3)
    expected = sum(e[:, i] * e[:, j] for i, j in combinations(range(5), 2))
    torch.testing.assert_close(bi_interaction(e), expected)


def test_a_cross_layer_is_the_product_of_outer_products_with_a_vector() -> None:
    layer, x0, x = prepared(CrossLayer(4)), random(3, 4), random(3, 4)
    expected = [torch.outer(x0[n], x[n]) @ layer.score.weight[0] + layer.bias + x[n] for n in range(3)]
    torch.testing.assert_close(layer(x0, x), torch.stack(expected))


def test_a_matrix_cross_layer_weighs_every_product_of_two_features() -> None:
    layer, x0, x = prepared(MatrixCrossLayer(4)), random(3, 4), random(3, 4)
    W, b = layer.linear.weight, layer.linear.bias
    expected = torch.empty(3, 4, dtype=torch.float64)
    for n, i in product(range(3), range(4)):
        expected[n, i] = sum(W[i, j] * x0[n, i] * x[n, j] for j in range(4)) + x0[n, i] * b[i] + x[n, i]
    torch.testing.assert_close(layer(x0, x), expected)


def test_a_mixture_cross_layer_is_the_gated_sum_of_its_experts() -> None:
    layer, x0, x = prepared(MixtureCrossLayer(4, rank=2, experts=3)), random(3, 4), random(3, 4)
    for n, answer in enumerate(layer(x0, x)):
        gates = softmax([(gate @ x[n]).item() for gate in layer.gate])
        expected = x[n].clone()
        for gate, V, C, U in zip(gates, layer.V, layer.C, layer.U, strict=True):
            hidden = torch.tanh(C.T @ torch.tanh(V.T @ x[n]))
            expected += gate * x0[n] * (U.T @ hidden + layer.bias)
        torch.testing.assert_close(answer, expected)


def test_a_compressed_interaction_sums_weighted_products_of_maps_and_fields() -> None:
    fields, maps, d = 3, (4, 2), 5
    network, e = prepared(CompressedInteraction(fields, maps)), random(2, fields, d)
    pooled, before = [], e
    for layer, count in zip(network.layers, maps, strict=True):
        w = layer.weight.view(count, before.shape[1], fields)
        after = torch.zeros(2, count, d, dtype=torch.float64)
        for h, i, j in product(range(count), range(before.shape[1]), range(fields)):
            after[:, h] += w[h, i, j] * before[:, i] * e[:, j]
        before = after + layer.bias[:, None]
        pooled.append(before.sum(dim=2))
    torch.testing.assert_close(network(e), torch.cat(pooled, dim=1))


@pytest.mark.parametrize(("in_features", "norm"), [(3, True), (3, False), (6, True)])
def test_attention_is_that_of_every_head_and_field_alone(in_features: int, norm: bool) -> None:
    layer = prepared(FieldAttention(in_features, 6, heads=2, dropout=0.5, layer_norm=norm))
    x, answers = random(2, 4, in_features), []
    for n, f in product(range(2), range(4)):
        mixed = []
        for head in (slice(0, 3), slice(3, 6)):
            query, keys, values = (
                rows @ part.weight[head].T
                for rows, part in ((x[n, f], layer.query), (x[n], layer.key), (x[n], layer.value))
            )
            weights = softmax([(query @ key).item() / sqrt(3) for key in keys])
            mixed.append(sum(weight * value for weight, value in zip(weights, values, strict=True)))
        joined = torch.cat(mixed) + (x[n, f] if in_features == 6 else layer.residual.weight @ x[n, f])
        answers.append(torch.relu(layer.norm(joined)))
    torch.testing.assert_close(layer(x), torch.stack(answers).view(2, 4, 6))


@pytest.mark.parametrize("kind", BILINEAR)
def test_bilinear_products_take_the_matrix_of_their_pair(kind: str) -> None:
    layer, e = prepared(BilinearInteraction(4, 3, kind)), random(2, 4, 3)
    pairs = list(combinations(range(4), 2))
    matrix = {
        "field_all": lambda i, j: 0,
        "field_each": lambda i, j: i,
        "field_interaction": lambda i, j: pairs.index((i, j)),
    }
    assert len(layer.weight) == {"field_all": 1, "field_each": 3, "field_interaction": 6}[kind]
    expected = [[(e[n, i] @ layer.weight[matrix[kind](i, j)]) * e[n, j] for i, j in pairs] for n in range(2)]
    torch.testing.assert_close(layer(e), torch.stack([torch.stack(rows) for rows in expected]))


def test_excitation_weighs_fields_by_a_bottleneck_on_their_means() -> None:
    layer, e = prepared(FieldExcitation(4, reduction=2)), random(8, 4, 3)
    first, second = layer.squeeze.weight, layer.excite.weight
    assert first.shape == (2, 4)
    expected = torch.empty_like(e)
    for n in range(8):
        z = [sum(row) / 3 for row in e[n]]
        s = [max(0, sum(w * mean for w, mean in zip(row, z, strict=True))) for row in first]
        a = [max(0, sum(w * value for w, value in zip(row, s, strict=True))) for row in second]
        for f in range(4):
            expected[n, f] = a[f] * e[n, f]
    torch.testing.assert_close(layer(e), expected)


def test_a_mask_block_multiplies_by_a_mask_made_of_the_sample() -> None:
    block, norm, e = prepared(MaskBlock(6, 4, expansion=2, dropout=0.5)), prepared(FieldNorm(2, 3)), random(5, 2, 3)
    for n, answer in enumerate(block(e.flatten(1), norm(e).flatten(1))):
        flat = e[n].flatten()
        mask = (
            block.project.weight @ torch.relu(block.aggregate.weight @ flat + block.aggregate.bias) + block.project.bias
        )
        fields = []
        for f in range(2):
            spread = ((e[n, f] - e[n, f].mean()).square().mean() + 1e-5).sqrt()
            fields.append((e[n, f] - e[n, f].mean()) / spread * norm.weight[f] + norm.bias[f])
        hidden = block.hidden.weight @ (mask * torch.cat(fields))
        scaled = (hidden - hidden.mean()) / (hidden.var(correction=0) + 1e-5).sqrt()
        torch.testing.assert_close(answer, torch.relu(scaled * block.norm.weight + block.norm.bias))


def test_fusion_is_a_bilinear_form_in_every_head() -> None:
    fusion, x, y = prepared(BilinearFusion(6, 4, heads=2)), random(3, 6), random(3, 4)
    for n, answer in enumerate(fusion(x, y)):
        expected = (
            fusion.first.weight[0] @ x[n] + fusion.second.weight[0] @ y[n] + fusion.first.bias + fusion.second.bias
        )
        for k, i, j in product(range(2), range(3), range(2)):
            expected = expected + fusion.weight[k, i, j] * x[n, 3 * k + i] * y[n, 2 * k + j]
        torch.testing.assert_close(answer, expected[0])


@pytest.mark.parametrize("name", ["dcn", "dcnv2", "dcnv2 mixture"])
def test_the_last_layer_of_a_cross_network_reads_the_concatenation_of_both_parts(name: str) -> None:
    network, ids = prepared(tiny(name)), small_ids()
    x0 = network.embedding(ids).flatten(1)
    x = x0
    for layer in network.cross:
        x = layer(x0, x)
    both = torch.cat([x, network.mlp.hidden(x0)], dim=1)
    weight = torch.cat([network.cross_out.weight, network.mlp.out.weight], dim=1)[0]
    torch.testing.assert_close(network(ids), both @ weight + network.mlp.out.bias)


@pytest.mark.parametrize("name", ["finalmlp", "finalmlp without context"])
def test_streams_read_embeddings_gated_by_their_context(name: str) -> None:
    network, ids = prepared(tiny(name)), small_ids()
    streams = []
    for which, context in (("first", network.first_gate), ("second", network.second_gate)):
        gate, stream = network.get_submodule(f"{which}_gate"), network.get_submodule(f"{which}_stream")
        rows = []
        for n in range(len(ids)):
            starts = {f: sum(SMALL[other] for other in context.fields if other < f) for f in context.fields.tolist()}
            own = [gate.embedding.weight[ids[n, f] + start] for f, start in starts.items()] or [gate.constant[0]]
            logits = gate.mlp(torch.cat(own)[None])[0]
            rows.append(network.embedding(ids[n : n + 1]).flatten() * 2 / (1 + torch.exp(-logits)))
        streams.append(stream(torch.stack(rows)))
    torch.testing.assert_close(network(ids), network.fusion(*streams))


@pytest.mark.parametrize("name", ["nfm", "xdeepfm", "fibinet"])
def test_first_order_weights_are_added_to_the_logit(name: str) -> None:
    network, ids = prepared(tiny(name)), small_ids()
    before = network(ids)
    starts = [sum(SMALL[:field]) for field in range(len(SMALL))]
    wide = sum(network.first_order.weight[ids[:, field] + start, 0] for field, start in enumerate(starts))
    with torch.no_grad():
        network.first_order.weight.zero_()
    torch.testing.assert_close(network(ids), before - wide)


@pytest.mark.parametrize("name", TINY)
def test_an_answer_belongs_to_its_row_alone(name: str) -> None:
    network, ids = prepared(tiny(name)), small_ids()
    order = torch.randperm(len(ids))
    answers = network(ids)
    assert answers.unique().numel() > 1
    torch.testing.assert_close(network(ids[order]), answers[order])
    torch.testing.assert_close(network(ids[:1]), answers[:1])


@pytest.mark.parametrize("name", TINY)
def test_gradients_reach_every_number_that_a_batch_can_move(name: str) -> None:
    plain = {} if name == "masknet" else {"batch_norm": False}
    network, ids = tiny(name, dropout=0.0, **plain), small_ids(256)
    nn.functional.binary_cross_entropy_with_logits(network(ids), torch.randint(2, (256,)).double()).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.any(), key
    for table in network.modules():
        if isinstance(table, FieldEmbedding):
            assert table.weight.grad.any(dim=1).all()


@pytest.mark.parametrize("name", TINY)
def test_regularisation_acts_on_every_table_and_nothing_else(name: str) -> None:
    network = tiny(name)
    tables = {id(table.weight) for table in network.modules() if isinstance(table, FieldEmbedding)}
    chosen = [id(parameter) for parameter in network.regularised()]
    assert len(chosen) == len(tables)
    assert set(chosen) == tables


@pytest.mark.parametrize(
    ("name", "bars", "rows", "numbers"),
    [
        ("nfm", 384_880, BARS, 11),
        ("dcn", 418_591, BARS, 10),
        ("dcnv2", 458_391, BARS, 10),
        ("xdeepfm", 429_809, BARS, 11),
        ("autoint", 622_180, BARS, 10),
        ("fibinet", 743_480, BARS, 11),
        ("masknet", 571_691, BARS, 10),
        ("finalmlp", 253_392, BARS_PADDED, 10),
    ],
)
def test_parameter_counts_are_those_of_bars_up_to_the_rows_of_its_tables(
    name: str, bars: int, rows: tuple[int, ...], numbers: int
) -> None:
    def count(cardinalities: tuple[int, ...]) -> int:
        return sum(parameter.numel() for parameter in build(name, cardinalities).parameters())

    assert count(rows) == bars
    fewer = sum(rows) - sum(FRAPPE)
    if name == "finalmlp":  # users and items stand in the tables of the gates once more
        fewer += sum(rows[:2]) - sum(FRAPPE[:2])
    assert bars - count(FRAPPE) == numbers * fewer


@pytest.mark.parametrize(
    ("name", "options", "released", "difference"),
    [
        # Over the released one ours has a second bias: the global one beside that of the MLP.
        ("deepfm", {}, 527_290, 1),
        ("nfm", {}, 392_890, 0),
        # Released DCN and AutoInt have first-order weights, and a projection of the input even where widths are equal.
        ("dcn", {"cross_layers": 2}, 529_050, -3_817),
        (
            "autoint",
            {"attention_layers": 3, "attention_dim": 16, "heads": 2, "layer_norm": False},
            530_714,
            1 - 3_817 - 3 * 16 * 16,
        ),
        # Plain and excited fields have matrices of their own there.
        ("fibinet", {"bilinear": "field_interaction", "reduction": 3}, 3_461_870, -231 * 16 * 16),
    ],
)
def test_parameter_counts_are_those_of_the_released_classes_up_to_named_parts(
    name: str, options: dict[str, Any], released: int, difference: int
) -> None:
    cardinalities = [100 + 7 * field for field in range(22)]
    network = build(name, cardinalities, embedding_dim=16, batch_norm=False, **options)
    assert sum(parameter.numel() for parameter in network.parameters()) == released + difference


@pytest.mark.parametrize("name", sorted({name.split()[0] for name in TINY}))
def test_what_may_be_compressed_are_layers_on_which_rank_16_pays_and_the_table_of_all_fields(name: str) -> None:
    network = build(name, FRAPPE)
    assert list(embedding_units(network, network.keep_dense)) == ["embedding"]
    units = linear_units(network, network.keep_dense)
    assert units
    assert all(break_even(svd_linear(layer).unit(key)) >= 16 for key, layer in units.items())


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("fibinet", {"bilinear": "field_al"}, "Did you mean 'field_all'"),
        ("autoint", {"heads": 3}, "attention_dim=128 cannot be shared evenly by 3 heads"),
        ("finalmlp", {"heads": 3}, "Widths 400 and 100 cannot be shared evenly by 3 heads"),
        ("finalmlp", {"second_context": (4,)}, "fields of these data are numbered 0 to 3"),
        ("dcnv2", {"low_rank": 0}, "model.low_rank=null for full matrices"),
    ],
)
def test_settings_that_cannot_work_are_answered_with_what_to_type(
    name: str, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(BenchmarkError, match=said):
        build(name, SMALL, **options)
