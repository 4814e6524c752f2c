"""Trained click networks for inference: the same logits from one lookup and the fewest matrix products."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import NamedTuple, NoReturn

import torch
from torch import nn

from benchmarks.errors import BenchmarkError
from benchmarks.models.ctr.deepfm import DeepFM
from benchmarks.models.ctr.dnn import DNN
from benchmarks.models.ctr.fm import FM
from benchmarks.models.ctr.logistic import LogisticRegression
from benchmarks.models.embedding import FieldEmbedding
from benchmarks.models.lowrank.int8 import Int8FieldEmbedding
from benchmarks.models.lowrank.layers import LowRankFieldEmbedding, LowRankLinear
from benchmarks.models.lowrank.merge import MergedLinear
from benchmarks.models.mlp import MLP, HiddenLayer

FEW = 16
BLOCK = 512
"""Samples a thread that are carried through all layers at a time, so that what lies between two stays in the cache."""
CHUNK = 2**18
"""Rows of a table that are held in float64 at a time."""
WHOLE = {4: torch.float32, 8: torch.float64, 16: torch.complex128}
"""What holds a row of so many bytes as one number: on a CPU it is looked up in half the time of a row of several."""
HALF = 0.5**0.5


class Product(nn.Module):
    """A linear layer and, where `rectified`, the ReLU behind it: [b, i] -> [b, o].

    torch's own layer copies the bias over the whole result before the product is added to it, which is one pass more. Where
    there are few samples a pass costs nothing, and one call less is quicker.
    """

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, rectified: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(bias)
        self.rectified = rectified

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling() or len(x) <= FEW:
            y = nn.functional.linear(x, self.weight, self.bias)
        else:
            y = nn.functional.linear(x, self.weight).add_(self.bias)
        # In place, since nothing else reads it: a large result costs as much to allocate as to compute.
        return y.relu_() if self.rectified else y


class FusedClickNetwork(nn.Module):
    """What `fuse` makes: integer ids [b, F] -> logits [b], for inference only.

    With rows e = z P + mu and their sum S, a factorisation machine is (|S|^2 - sum of |e|^2) / 2, and |e|^2 depends on one
    id alone. So `table` [ids, rank + 1] holds z and, where the network has them, a scalar: the first-order weight less
    |e|^2 / 2, with the global bias in those of the first field. `first` takes what is looked up for a sample to as many
    columns as `widths` says: the first layer of the MLP, S / sqrt(2) and the sum of the scalars, in one product that has P
    and mu multiplied in; `rest` is the MLP behind its first product. A row of three numbers has a zero as the fourth (see
    WHOLE). Rows of bytes stay bytes: `table` [ids, rank] is int8 then, and `beside` [ids, 1 or 2] holds the scale of each row
    and its scalar, which `first` does not read.
    """

    offsets: torch.Tensor

    def __init__(
        self,
        offsets: torch.Tensor,
        table: torch.Tensor,
        beside: torch.Tensor | None,
        first: Product,
        widths: tuple[int, int, int],
        rest: nn.Module,
    ) -> None:
        super().__init__()
        self.register_buffer("offsets", offsets, persistent=False)
        self.table = nn.Parameter(table, requires_grad=False)
        self.beside = None if beside is None else nn.Parameter(beside)
        self.first = first
        self.widths = widths
        self.rest = rest
        self.eval().requires_grad_(False)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        places = ids + self.offsets
        # A program that is exported takes a batch as it comes: it holds no loop over a number that it does not know.
        if torch.compiler.is_compiling() or ids.device.type != "cpu":
            return self._logits(places, nn.functional.embedding(places, self.table))
        block = BLOCK * torch.get_num_threads()
        if len(places) <= block:
            return self._logits(places, self._look_up(places))
        return torch.cat([self._logits(part, self._look_up(part)) for part in places.split(block)])

    def _look_up(self, places: torch.Tensor) -> torch.Tensor:
        table, (samples, fields) = self.table, places.shape
        whole = WHOLE.get(table.shape[1] * table.element_size())
        if whole is None:
            return table.index_select(0, places.view(-1)).view(samples, fields, -1)
        rows = table.view(whole).view(-1).index_select(0, places.view(-1))
        return rows.view(table.dtype).view(samples, fields, -1)

    def _logits(self, places: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        terms = []
        if self.beside is not None:
            beside = nn.functional.embedding(places, self.beside)
            rows = rows.to(beside.dtype) * beside[..., :1]
            if beside.shape[2] > 1:
                terms.append(beside[..., 1].sum(dim=1))
        deep, pooled, scalars = self.first(rows.flatten(1)).split(self.widths, dim=1)
        if self.widths[0]:
            terms.append(self.rest(deep).squeeze(1))
        if self.widths[1]:
            terms.append(torch.linalg.vecdot(pooled, pooled))
        if self.widths[2]:
            terms.append(scalars.squeeze(1))
        logits = terms[0]
        for term in terms[1:]:
            logits = logits + term
        return logits


class Rows(NamedTuple):
    """The rows of a field embedding as z P_f + mean_f.

    `z` is the table [ids, r] as it is, to be multiplied by `scale` [ids] where it is int8; P [F, r, d] and the mean [F, d] are
    float64. Field f has the rows bounds[f] to bounds[f + 1].
    """

    z: torch.Tensor
    scale: torch.Tensor | None
    projection: torch.Tensor
    mean: torch.Tensor
    bounds: list[int]

    def between(self, start: int, stop: int, field: int) -> torch.Tensor:
        """Some rows of one field, multiplied out: float64 [stop - start, d]."""
        z = _exact(self.z[start:stop])
        if self.scale is not None:
            z *= _exact(self.scale[start:stop])[:, None]
        return z @ self.projection[field] + self.mean[field]


class Affine(NamedTuple):
    """y = weight x + bias, both float64: [o, i] and [o]."""

    weight: torch.Tensor
    bias: torch.Tensor


Step = Affine | nn.Module


def fuse(network: nn.Module) -> FusedClickNetwork:
    """The logits of a trained network in evaluation mode, up to rounding, from fewer and smaller products.

    BatchNorm is folded into the layer before it and dropout is gone. Tables stay factorised, whatever training has made
    of the factors, and so do low-rank layers, except where one matrix is no larger than the two. Dense networks have this
    form too: it is what a low-rank one has to be compared with. Weights are combined in float64; type and device of the
    result are those of `network`, which stays as it is. Anything but LogisticRegression, FM, DNN and DeepFM with dense or
    low-rank tables and layers raises BenchmarkError.
    """
    if type(network) not in (LogisticRegression, FM, DNN, DeepFM):
        _refuse(network, "network")
    parts: dict[str, nn.Module] = dict(network.named_children())
    first_order = _rows(parts["first_order"]) if "first_order" in parts else None
    embedding = _rows(parts["embedding"]) if "embedding" in parts else _no_columns(parts["first_order"])
    fields, rank, _ = embedding.projection.shape
    head, rest = _steps(parts["mlp"], fields * rank) if "mlp" in parts else (None, [])

    like = next(network.parameters())
    bias = _exact(network.get_parameter("bias")) if first_order else None
    merged = getattr(parts.get("embedding"), "merged", False)
    table, beside = _table(first_order, embedding, bias, like)
    pooled, scalars = first_order is not None and rank > 0, first_order is not None and beside is None
    columns = table.shape[1]
    first, widths = _first(embedding, head, merged, pooled, scalars, columns)
    return FusedClickNetwork(
        torch.tensor(embedding.bounds[:-1]), table, beside, Product(*first), widths, nn.Sequential(*_modules(rest))
    ).to(like.device, like.dtype)


def _rows(table: nn.Module) -> Rows:
    plain = (FieldEmbedding, Int8FieldEmbedding)
    z: nn.Module
    if isinstance(table, plain):
        fields, dim = len(table.cardinalities), table.embedding_dim
        projection, mean, z = torch.eye(dim, dtype=torch.float64).repeat(fields, 1, 1), None, table
    elif type(table) is LowRankFieldEmbedding and isinstance(table.z, plain):
        projection, mean, z = _exact(table.projection), table.mean, table.z
    else:
        _refuse(table, "table")
    centre = projection.new_zeros(projection[:, 0].shape) if mean is None else _exact(mean)
    bounds = [0, *accumulate(z.cardinalities)]
    if isinstance(z, FieldEmbedding):
        return Rows(z.weight.detach(), None, projection, centre, bounds)
    scale = z.scale[:, 0] if z.scales == "row" else z.scale[:, 0].repeat_interleave(torch.tensor(z.cardinalities))
    return Rows(z.rows, scale, projection, centre, bounds)


def _no_columns(table: nn.Module) -> Rows:
    """An embedding of no dimensions for the fields of a table."""
    rows = _rows(table)
    return rows._replace(z=rows.z[:, :0], scale=None, projection=rows.projection[:, :0, :0], mean=rows.mean[:, :0])


def _table(
    first_order: Rows | None, embedding: Rows, bias: torch.Tensor | None, like: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The table of a fused network and, where its rows are bytes, what stands beside it."""
    rank, wide, ids = embedding.z.shape[1], first_order is not None, embedding.bounds[-1]
    if embedding.scale is None or not rank:
        spare = (rank + wide) * like.element_size() == 12
        table, beside = like.new_zeros(ids, rank + wide + spare), None
        table[:, :rank] = embedding.z
        scalars = table[:, rank] if wide else table
    else:
        table, beside = embedding.z.clone(), like.new_zeros(ids, 1 + wide)
        beside[:, 0] = embedding.scale
        scalars = beside[:, -1]
    if first_order is None or bias is None:
        return table, beside
    for field, (begin, end) in enumerate(pairwise(embedding.bounds)):
        for start in range(begin, end, CHUNK):
            place = (start, min(start + CHUNK, end), field)
            weight, row = first_order.between(*place)[:, 0], embedding.between(*place)
            scalar = weight - 0.5 * row.square().sum(dim=1)
            scalars[start : place[1]] = (scalar if field else scalar + bias).to(like)
    return table, beside


def _first(
    embedding: Rows, head: Affine | None, merged: bool, pooled: bool, scalars: bool, columns: int
) -> tuple[Affine, tuple[int, int, int]]:
    """The first product of a fused network and its `widths`, on rows of `columns` numbers of which z are the first.

    `head` is the first product of the MLP, on codes where it is `merged`. The number behind z is the scalar.
    """
    fields, rank, dim = embedding.projection.shape
    none = Affine(embedding.projection.new_zeros(0, fields * rank), embedding.projection.new_zeros(0))
    deep = pool = none
    if head is not None:
        deep = head if merged else _on_codes(Affine(head.weight.unflatten(1, (fields, dim)), head.bias), embedding)
    if pooled:
        half = HALF * torch.eye(dim, dtype=torch.float64)
        pool = _on_codes(Affine(half[:, None].expand(dim, fields, dim), half.new_zeros(dim)), embedding)
    widths = len(deep.bias), len(pool.bias), int(scalars)
    weight = deep.weight.new_zeros(sum(widths), fields, columns)
    weight[: widths[0], :, :rank] = deep.weight.unflatten(1, (fields, rank))
    weight[widths[0] : widths[0] + widths[1], :, :rank] = pool.weight.unflatten(1, (fields, rank))
    if scalars:
        weight[-1, :, rank] = 1
    bias = torch.cat([deep.bias, pool.bias, deep.bias.new_zeros(widths[2])])
    return Affine(weight.flatten(1), bias), widths


def _on_codes(on_rows: Affine, embedding: Rows) -> Affine:
    """What a product with rows, weight [h, F, d], is on codes: weight [h, F * r]."""
    constant = torch.einsum("hfd,fd->h", on_rows.weight, embedding.mean)
    weight = torch.einsum("hfd,frd->hfr", on_rows.weight, embedding.projection).flatten(1)
    return Affine(weight, on_rows.bias + constant)


def _steps(mlp: nn.Module, inputs: int) -> tuple[Affine, list[Step]]:
    """The first product of an MLP, which with the projections in it reads `inputs` numbers, and the steps behind it."""
    if type(mlp) is not MLP:
        _refuse(mlp, "MLP")
    steps: list[Step] = []
    for layer in mlp.hidden:
        if type(layer) is not HiddenLayer:
            _refuse(layer, "layer")
        before, last = _products(layer.linear, layer.norm, inputs)
        steps += [*before, last, layer.act]
        inputs = len(last.bias)
    before, last = _products(mlp.out, nn.Identity(), inputs)
    steps += [*before, last]
    head = steps.pop(0)
    assert isinstance(head, Affine)
    return head, steps


def _products(layer: nn.Module, norm: nn.Module, inputs: int) -> tuple[list[Step], Affine]:
    """What comes before the last product of a layer, and that product, normalised."""
    if type(layer) is nn.Linear or type(layer) is MergedLinear:
        return [], _normalised(_affine(layer), norm)
    if type(layer) is not LowRankLinear:
        _refuse(layer, "layer")
    down, up = _affine(layer.down), _normalised(_affine(layer.up), norm)
    if layer.inner is None and layer.rank * (inputs + layer.out_features) >= inputs * layer.out_features:
        return [], Affine(up.weight @ down.weight, up.weight @ down.bias + up.bias)
    return [down, layer.act] if layer.inner else [down], up


def _normalised(affine: Affine, norm: nn.Module) -> Affine:
    if type(norm) is nn.Identity:
        return affine
    if type(norm) is not nn.BatchNorm1d or norm.running_mean is None or norm.running_var is None:
        _refuse(norm, "normalisation")
    scale = (_exact(norm.running_var) + norm.eps).rsqrt()
    shift = -_exact(norm.running_mean) * scale
    if norm.affine:
        scale, shift = scale * _exact(norm.weight), shift * _exact(norm.weight) + _exact(norm.bias)
    return Affine(scale[:, None] * affine.weight, scale * affine.bias + shift)


def _affine(linear: nn.Linear) -> Affine:
    weight = _exact(linear.weight)
    return Affine(weight, weight.new_zeros(len(weight)) if linear.bias is None else _exact(linear.bias))


def _modules(steps: list[Step]) -> Iterator[nn.Module]:
    """The steps as modules, a product and the ReLU behind it in one."""
    for number, step in enumerate(steps):
        before, behind = steps[number - 1] if number else None, steps[number + 1] if number + 1 < len(steps) else None
        if isinstance(step, Affine):
            yield Product(*step, rectified=type(behind) is nn.ReLU)
        elif type(step) is not nn.ReLU:
            yield copy.deepcopy(step)
        elif not isinstance(before, Affine):
            yield nn.ReLU(inplace=True)


def _exact(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().cpu().to(torch.float64, copy=True)


def _refuse(module: nn.Module, what: str) -> NoReturn:
    raise BenchmarkError(
        f"This {what} has no fused form: {type(module).__name__}. LogisticRegression, FM, DNN and DeepFM have one, with dense "
        "or low-rank tables and layers, batch_norm or none. Call the network itself."
    )
