"""Losses of the stages before the last: off by default, weighted as they say, blind to scale."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.errors import BenchmarkError
from benchmarks.sparse_object.supervision import nuclear_share
from benchmarks.sparse_object.task import SparseObject, scaled, soft_iou_loss

SCHEMA = {"height": 16, "width": 12, "centre": 40.0, "spread": 50.0, "crop": 0}
FIRST = {"rpcanet": "convs.0.weight", "rpcanet_pp": "conv1_C.0.weight"}
"""The first weights of a stage."""
TINY = {"stages": 3, "channels": 4, "sparse_depth": 1, "merge_depth": 1}


def batch_of() -> dict[str, torch.Tensor]:
    image = torch.randint(256, (2, 16, 12), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return {"image": image, "mask": image > 200}


@pytest.mark.parametrize("name", ["rpcanet", "rpcanet_pp"])
def test_what_is_asked_of_stages_is_added_to_the_loss(name: str) -> None:
    torch.manual_seed(0)
    plain, deep, low = (
        SparseObject(flips=False),
        SparseObject(flips=False, deep_supervision=0.5),
        SparseObject(flips=False, lowrank_penalty=0.3),
    )
    network, batch = plain.network(name, TINY, SCHEMA).eval(), batch_of()
    with torch.no_grad():
        stages = network.decompose(scaled(network, batch["image"]))
        mask = batch["mask"][:, None].float()
        base, first, second = plain.loss(network, batch), *(soft_iou_loss(stage.objects, mask) for stage in stages[:2])
        assert deep.loss(network, batch).item() == pytest.approx((base + 0.25 * first + 0.5 * second).item(), rel=1e-5)
        shares = []
        for stage in stages:
            for background in stage.background[:, 0].numpy():
                values = np.linalg.svd(background, compute_uv=False)
                shares.append(values.sum() / np.sqrt((values**2).sum()) / np.sqrt(12))
        assert low.loss(network, batch).item() == pytest.approx(base.item() + 0.3 * np.mean(shares), rel=1e-5)
    network.train()
    low.loss(network, batch).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters() if parameter.grad is not None)
    assert network.decos[0].lowrank.get_parameter(FIRST[name]).grad.abs().max() > 0


def test_the_share_of_full_rank_knows_its_ends_and_no_scale() -> None:
    torch.manual_seed(0)
    one = torch.ones(1, 1, 9, 4)
    assert nuclear_share(one).item() == pytest.approx(0.5)
    assert nuclear_share(torch.eye(5)[None, None]).item() == pytest.approx(1)
    some = torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(nuclear_share(10 * some), nuclear_share(some))
    assert nuclear_share(torch.zeros(1, 1, 3, 3)).item() == 0


def test_a_step_against_the_penalty_lowers_the_rank() -> None:
    torch.manual_seed(0)
    image = torch.randn(1, 1, 8, 8, requires_grad=True)
    nuclear_share(image).backward()
    assert nuclear_share(image - 0.5 * image.grad) < nuclear_share(image)


def test_a_network_without_stages_is_refused() -> None:
    network = torch.nn.Linear(1, 1)
    network.centre, network.spread, network.crop = 0.0, 255.0, 0
    with pytest.raises(BenchmarkError, match=r"Linear has no stages.*task\.deep_supervision"):
        SparseObject(deep_supervision=0.5).loss(network, batch_of())
