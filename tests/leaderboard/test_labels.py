"""A row is named by what tells it from its rivals, and by what decided its size."""

from __future__ import annotations

from benchmarks.leaderboard.labels import labels, plain
from benchmarks.leaderboard.record import Record


def record(method: str = "svd", **settings) -> Record:
    return Record(
        run_id="r", status="ok", created_utc="2026-01-01T00:00:00+00:00", task="ctr", task_version=1, dataset="toy",
        data_fingerprint="f", method=method, model="net", scale="small", seed=0, config_hash="c", key="k",
        config={"method": {"name": method, "summary": "text", **settings}},
    )  # fmt: skip


def names(*records: Record, **options) -> list[str]:
    return [label for label, _ in labels(records, **options)]


def test_a_budget_is_named_and_no_rank_beside_it():
    assert names(record(rank=16, budget=0.25)) == ["svd budget=0.25"]
    rows = [record(rank=16), record(rank=16, budget=0.25), record(rank=16, budget=400_000.0)]
    assert names(*rows) == ["svd rank=16", "svd budget=0.25", "svd budget=400000"]


def test_what_decides_a_size_without_a_budget_is_compared_among_rows_without_one():
    rows = [record("small_dim", match_rank=16), record("small_dim", match_rank=None, budget=0.5)]
    assert names(*rows) == ["small_dim", "small_dim budget=0.5"]
    rows = [record(rank=16, budget=None), record(rank=None, energy=0.9), record(rank=None, budget=0.5)]
    assert names(*rows) == ["svd energy=null rank=16", "svd energy=0.9 rank=null", "svd budget=0.5"]


def test_a_rank_that_tells_two_rows_with_a_budget_apart_stays():
    assert names(record(rank=16, budget=0.25), record(rank=8, budget=0.25)) == [
        "svd budget=0.25 rank=16",
        "svd budget=0.25 rank=8",
    ]


def test_other_settings_tell_apart_as_ever_and_may_be_hidden():
    rows = [record(budget=0.25, targets=["linear"]), record(budget=0.5, targets=["embedding"])]
    assert names(*rows) == ["svd budget=0.25 targets=[linear]", "svd budget=0.5 targets=[embedding]"]
    assert names(*rows, hidden=frozenset({"method.budget"})) == ["svd targets=[linear]", "svd targets=[embedding]"]


def test_a_budget_in_bytes_keeps_all_its_digits():
    assert [plain(value) for value in (1_234_567.0, 1_234_567, 0.1, 1e-6, 1.0)] == [
        "1234567",
        "1234567",
        "0.1",
        "1e-06",
        "1",
    ]


def test_how_to_fine_tune_tells_no_rows_apart_that_are_not_fine_tuned():
    rows = [record("none", kind="train"), record("none", kind="train")]
    for row, share, width in zip(rows, (None, 0.0), (1, 2), strict=True):
        row.config |= {"finetune": {"distill": share}, "model": {"width": width}}
    assert names(*rows) == ["none model.width=1", "none model.width=2"]


def test_a_shared_setting_tells_no_rows_apart_that_were_made_before_it_was_there():
    rows = [record("none") for _ in range(3)]
    for row, task, weights in zip(rows, ({}, {"crop": 0}, {"crop": 0}), ("a", "a", "b"), strict=True):
        row.config |= {"task": {"name": "t", **task}, "weights": weights}
    assert names(*rows) == ["none weights=a", "none weights=a", "none weights=b"]
    rows[1].config["task"]["crop"] = 96
    assert names(*rows)[:2] == ["none weights=a", "none task.crop=96 weights=a"]
    assert names(*rows[:2]) == ["none", "none task.crop=96"]


def test_a_setting_that_came_later_tells_no_rows_apart_at_the_value_that_older_ones_were_made_with():
    older, newer, other = record(rank=4), record(rank=4, latency_batch=256), record(rank=4, latency_batch=1)
    assert names(older, newer) == ["svd rank=4", "svd rank=4"]
    assert names(older, newer, other) == [f"svd rank=4 latency_batch={size}" for size in (256, 256, 1)]


def test_what_adapts_is_told_apart_by_how_it_is_fine_tuned():
    rows = [record("lora", kind="adapt") for _ in range(2)]
    for row, rate in zip(rows, (1e-4, 1e-3), strict=True):
        row.config |= {"finetune": {"learning_rate": rate}}
    assert names(*rows) == ["lora finetune.learning_rate=0.0001", "lora finetune.learning_rate=0.001"]


def test_rows_of_one_model_say_which_of_several_weights_they_start_from():
    rows = [record("none"), record("none"), record("lora", rank=4), record(rank=8), record("continued")]
    for row, weights in zip(rows, ("a", "b", "b", "a", None), strict=True):
        row.config |= {"weights": weights}
    expected = ["none weights=a", "none weights=b", "lora rank=4 weights=b", "svd rank=8 weights=a", "continued"]
    assert names(*rows) == expected
    assert names(*rows[2:3]) == ["lora rank=4"]


def test_a_network_that_was_loaded_is_not_told_from_a_trained_one_by_how_that_was_trained():
    trained, loaded = record("none"), record("none")
    for one, weights, epochs, crop in ((trained, None, 24, 96), (loaded, "published", 800, 0)):
        one.config |= {
            "weights": weights,
            "trainer": {"max_epochs": epochs},
            "task": {"training": ["crop"], "crop": crop},
        }
        one.config["method"]["kind"] = "train"
    assert names(loaded, trained) == ["none weights=published", "none task.crop=96 weights=null"]
