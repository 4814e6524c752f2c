"""Values that a search has written to conf/tuned: what begins with them, and what is another run for that."""

from __future__ import annotations

import pytest
from hydra.core.config_store import ConfigStore

from benchmarks.config import forget
from benchmarks.spec import RunSpec


def test_a_tuned_file_serves_its_pair_alone_and_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    store = ConfigStore.instance()
    monkeypatch.setitem(store.repo, "tuned", {})
    node = {"method": {"rank": 7}, "tuned": {"budget": "20 runs", "space": "rank 1 to 64", "metric": "validation auc"}}
    store.store(group="tuned", name="ctr_svd", node=node, package="_global_")
    tuned, untuned, other = (
        RunSpec.of(words) for words in (["method=svd"], ["method=svd", "tuned=null"], ["method=afm"])
    )
    assert (tuned.config["method"]["rank"], tuned.config["tuned"]["budget"]) == (7, "20 runs")
    assert RunSpec.of(["method=svd", "method.rank=3"]).config["method"]["rank"] == 3
    assert (untuned.config["method"]["rank"], untuned.config["tuned"], other.config["tuned"]) == (16, None, None)
    assert tuned.base().key == untuned.base().key
    assert (tuned.tuned, untuned.tuned, other.tuned) == (True, False, False)


def test_a_run_is_tuned_where_searched_values_serve_the_data_that_they_were_found_on() -> None:
    words = ["experiment=medseg_adapters", "method=pissa"]
    assert RunSpec.of([*words, "method.rank=8", "seed=2"]).tuned
    assert not RunSpec.of([*words, "finetune.learning_rate=1e-3"]).tuned
    assert not RunSpec.of([*words, "data=isbi2012_em"]).tuned


def test_values_that_were_searched_for_a_base_make_another_run_of_what_starts_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before, alone = RunSpec.of(["method=svd"]), RunSpec.of(["method=none"])
    monkeypatch.setitem(ConfigStore.instance().repo, "tuned", {})
    node = {"trainer": {"learning_rate": 0.05}, "tuned": {"budget": "2 runs"}}
    ConfigStore.instance().store(group="tuned", name="ctr_none", node=node, package="_global_")
    forget()
    found, base = RunSpec.of(["method=svd"]), RunSpec.of(["method=none"])
    assert base.config["trainer"]["learning_rate"] == 0.05
    assert base.config_hash != alone.config_hash
    assert found.base().key == base.key
    assert (found.key != before.key, found.config_hash != before.config_hash) == (True, True)
    assert RunSpec.of(["method=svd", "if_exists=rerun", "store=x"]).key == found.key
    assert RunSpec.of(["method=none", "if_exists=rerun"]).key == base.key
    forget()
