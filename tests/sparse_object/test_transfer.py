"""Weights of one data set on another, and fine-tuning from them: one row, however the runs beside it are trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import runner
from benchmarks.datasets.card import load_card
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.store import Store
from benchmarks.methods.svd import SVD
from benchmarks.models.lowrank.conv import LowRankConv2d
from benchmarks.models.sparse_object.rpcanet_pp import RPCANetPlusPlus
from benchmarks.solver import NetworkSolver
from benchmarks.spec import RunSpec

SIRST = ("task=sparse_object", "data=sirst", "method=none", "model=rpcanet")
TINY = (
    "task=sparse_object", "scale=smoke", "data.images=20", "data.size=32", "model.stages=2", "model.channels=4",
    "model.sparse_depth=1", "trainer.progress=false", "trainer.accelerator=cpu", "trainer.threads=1", "pictures=false",
)  # fmt: skip


def refusal(*words: str) -> str:
    with pytest.raises(BenchmarkError) as caught:
        _ = RunSpec.of(words).key
    return str(caught.value)


def test_weights_are_named_by_the_data_set_that_they_were_made_on() -> None:
    for card_id in ("nudt_sirst", "irstd1k", "sirst_aug"):
        card, run = load_card(card_id), RunSpec.of([*SIRST, f"weights={card_id}"])
        assert run.weights_card is card
        assert run.weights_sha256 == card.file(card.published["rpcanet"].file).sha256
    own = [RunSpec.of([*SIRST, f"weights={named}"]) for named in ("published", "sirst")]
    assert own[0].key == own[1].key
    assert own[0].key != run.key


def test_weights_that_are_not_there_are_answered_with_those_that_are() -> None:
    assert "Did you mean weights=nudt_sirst?" in refusal(*SIRST, "weights=nudt_sirs")
    answer = refusal(*SIRST, "weights=sirst_320")
    assert all(f"weights={card_id}, " in answer for card_id in ("nudt_sirst", "sirst"))
    assert "another data set" not in refusal("task=sparse_object", "method=none", "model=rpcanet_pp", "weights=sirst")


def test_what_trains_nothing_is_one_row_however_others_are_trained() -> None:
    for words in ([*SIRST, "weights=nudt_sirst"], ["task=sparse_object", "method=tophat"]):
        run, typed = RunSpec.of(words), RunSpec.of([*words, "task.crop=96", "task.bce=1.0", "task.flips=false"])
        assert run.key == typed.key
        assert run.config == typed.config
    trained = RunSpec.of(SIRST)
    assert trained.key != RunSpec.of([*SIRST, "task.crop=96"]).key


def test_one_command_has_zero_shot_and_full_fine_tuning_beside_it() -> None:
    run = RunSpec.of(["experiment=sirst_transfer", "method=bias_norm"])
    rows = run.companions()
    assert rows["base"].key == RunSpec.of([*SIRST, "weights=nudt_sirst"]).key == run.base().key
    control = rows["control"]
    assert (control.method, control.config["finetune"]) == ("continued", run.config["finetune"])
    assert control.config["task"]["crop"] == run.config["task"]["crop"] == 96


def test_the_curve_of_published_weights_starts_from_the_published_row() -> None:
    for method in ("svd", "afm"):
        run = RunSpec.of(["experiment=sirst_curve", f"method={method}", "method.budget=0.25", "finetune.max_epochs=0"])
        assert run.base().key == RunSpec.of([*SIRST, "weights=published"]).key


@pytest.mark.parametrize("method", ["lora", "bias_norm"])
def test_the_record_tells_what_was_trained(method: str, tmp_path: Path) -> None:
    store, sizes = Store(tmp_path), {}
    for role in ("none", method):
        rank = ["method.rank=2"] if role == "lora" else []
        words = [
            *TINY,
            "model=rpcanet",
            f"method={role}",
            *rank,
            "finetune.batch_size=5",
            "finetune.gradient_clip=1.0",
            "profile=fast",
        ]
        record = runner.run(RunSpec.of(words), store)
        sizes[role] = record.cost
    # Of each of 2 stages: 3 + 1 + 3 kernels of 4 x 4 x 3 x 3, or vectors.
    stage = (4 * 4 + 1) + 2 * 4 * 4
    vectors = 2 * (2 * stage + (2 * 4 + 1) + 1)
    expected = {"lora": 2 * 7 * 2 * (4 + 36), "bias_norm": vectors}[method]
    assert sizes[method].params_trainable == expected
    assert sizes[method].params_total == sizes["none"].params_total == sizes["none"].params_trainable
    assert sizes[method].bytes_stored == sizes["none"].bytes_stored


def test_patterns_choose_the_layers_that_are_factorised() -> None:
    torch.manual_seed(0)
    network = RPCANetPlusPlus(stages=2, channels=8, sparse_depth=1, merge_depth=1)
    run = RunSpec.of(["experiment=contrast_rank", "method.layers=[*.contrast.2.conv]", "method.rank=3"])
    method = runner.load_method(run)
    assert isinstance(method, SVD)
    factors = method.shapes(network)
    assert set(factors) == {f"decos.{stage}.sparse.contrast.2.conv" for stage in (0, 1)}
    made = factors["decos.0.sparse.contrast.2.conv"].truncate(3)
    assert isinstance(made, LowRankConv2d)
    assert made.down.kernel_size == (17, 17)
    assert set(SVD(layers=("*.merge.*",)).shapes(network)) == {f"decos.{stage}.merge.mapping.3" for stage in (0, 1)}
    with pytest.raises(BenchmarkError, match=r"matches method\.layers=nowhere"):
        SVD(layers=("nowhere",)).plan(network, SVD(layers=("nowhere",)).shapes(network), None)  # type: ignore[arg-type]


def test_weights_of_another_data_set_are_used_and_recorded(mirror: Path, tmp_path: Path) -> None:
    """Ten small images of the simulator in the place of SIRST's: what is asked is whose weights the network has."""
    words = ["task=sparse_object", "data=sim_infrared", "scale=smoke", "data.images=20", "data.size=32", "method=none"]
    made = RunSpec.of([*words, "model=rpcanet", "weights=nudt_sirst", "profile=none", "pictures=false"])
    store = Store(tmp_path)
    record = runner.run(made, store)
    (used,) = record.provenance.pretrained
    assert used == {"name": "rpcanet_nudt.pkl", "sha256": made.weights_sha256, "dataset": "nudt_sirst"}
    assert any("made for another data set: NUDT-SIRST" in note for note in record.notes)
    assert record.cost.epochs == 0
    network = NetworkSolver.load(runner.load_task(made), store.folder(record.run_id) / runner.SOLVER / "all").network
    card = load_card("nudt_sirst")
    from benchmarks.datasets.cache import fetch

    theirs = torch.load(fetch(card, files=["rpcanet_nudt.pkl"], progress=False)["rpcanet_nudt.pkl"], map_location="cpu")
    assert all(torch.equal(network.state_dict()[name], value) for name, value in theirs.items())
