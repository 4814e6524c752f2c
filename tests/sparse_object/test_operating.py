"""Other thresholds: what is found at a budget of false alarms, the curves beside a run's record, and their drawing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from benchmarks.__main__ import main
from benchmarks.leaderboard.operating import OPERATING, OperatingCurve, read_operating
from benchmarks.leaderboard.publish import publish
from benchmarks.leaderboard.record import decode, encode
from benchmarks.leaderboard.report.operating_plot import operating_plot
from benchmarks.leaderboard.store import Store
from benchmarks.sparse_object.metrics import BUDGETS, METRICS
from benchmarks.sparse_object.operating import precision_recall, roc, targets_found
from benchmarks.sparse_object.sweep import THRESHOLDS, sweep
from benchmarks.sparse_object.targets import by_centroid

BY_NAME = {metric.name: metric for metric in METRICS}
NEW = ("e_measure", "weighted_f", "pd@1e-6", "pd@1e-5", "pd@1e-4")


def noisy(seed: int = 0, images: int = 4, size: int = 30) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = np.zeros((images, size, size), bool)
    for image in mask:
        for y, x in random.integers(2, size - 4, (2, 2)):
            image[y : y + 2, x : x + 2] = True
    soft = np.clip(0.5 * mask + random.normal(0.1, 0.12, mask.shape), 0, 1)
    return {"probability": soft.astype(np.float32), "mask": mask}


def at_budgets(samples: dict[str, np.ndarray]) -> list[float]:
    return [BY_NAME[name].statistic(samples).value(None) for name in NEW[2:]]


def test_a_target_is_found_at_a_budget_where_some_threshold_parts_it_from_the_alarms() -> None:
    mask = np.zeros((2, 100, 100), bool)
    mask[0, 10, 10] = mask[1, 80, 80] = True
    soft = np.where(mask, 0.9, 0.0).astype(np.float32)
    soft[1, 80, 80] = 0.6
    soft[0, 50, 50] = 0.7  # one of 20,000 pixels: 50 in a million
    assert at_budgets({"probability": soft, "mask": mask}) == [50, 50, 100]
    soft[0, 50, 50:53] = 0.7
    assert at_budgets({"probability": soft, "mask": mask}) == [50, 50, 50]
    soft[0, 50, 50:53] = 0.95
    assert at_budgets({"probability": soft, "mask": mask}) == [0, 0, 0]


def test_what_is_exactly_the_budget_keeps_to_it() -> None:
    mask = np.zeros((1, 100, 100), bool)
    mask[0, 10, 10] = True
    soft = mask.astype(np.float32)
    soft[0, 50, 50] = 1
    assert at_budgets({"probability": soft, "mask": mask})[2] == 100


def test_a_sure_network_is_swept_where_its_answers_are() -> None:
    """Its alarms and its targets both lie far above one half, and are parted all the same."""
    mask = np.zeros((1, 60, 60), bool)
    mask[0, 10:12, 10:12] = True
    soft = np.full(mask.shape, 1e-6, np.float32)
    soft[mask] = 1 - 2e-6
    soft[0, 40:43, 40:43] = 1 - 1e-3
    assert BY_NAME["fa"].statistic({"probability": soft, "mask": mask}).value(None) > 1000
    assert at_budgets({"probability": soft, "mask": mask}) == [100, 100, 100]


@pytest.mark.parametrize("field", [False, True])
def test_the_sweep_is_matching_at_every_threshold(field: bool) -> None:
    samples = noisy()
    if field:
        samples["field"] = np.zeros(samples["mask"].shape, bool)
        samples["field"][:, 3:27, :25] = True
    kept = samples.get("field", np.ones(samples["mask"].shape, bool))
    found = sweep(samples)
    for index, threshold in enumerate(THRESHOLDS):
        for image in range(4):
            hard = (samples["probability"][image] > np.float32(threshold)) & kept[image]
            expected = by_centroid(hard, samples["mask"][image] & kept[image])
            assert (found.targets[image], found.hits[index, image], found.false_pixels[index, image]) == expected
    assert found.pixels.tolist() == kept.sum((1, 2)).tolist()
    half = int(np.flatnonzero(THRESHOLDS == 0.5)[0])
    rates = [100 * found.rates(None)[0][half], 1e6 * found.rates(None)[1][half]]
    assert rates == pytest.approx([BY_NAME[name].statistic(samples).value(None) for name in ("pd", "fa")])


def test_other_samples_are_swept_anew() -> None:
    assert [at_budgets(noisy(seed)) for seed in (0, 1, 0)] == [at_budgets(noisy(seed)) for seed in (0, 1, 0)]
    samples = noisy(0)
    before = sweep(samples)
    assert sweep(samples) is before
    assert sweep({**samples, "mask": noisy(1)["mask"]}) is not before
    assert sweep(samples).hits.tolist() == before.hits.tolist()


def test_more_alarms_are_never_less_found_and_without_targets_there_is_a_reason() -> None:
    samples = noisy()
    assert at_budgets(samples) == sorted(at_budgets(samples))
    empty = {**samples, "mask": samples["mask"] & False}
    found = BY_NAME["pd@1e-5"].statistic(empty)
    assert np.isnan(found.value(None))
    assert found.reason == "no image has a target"
    with_one = {**samples, "mask": samples["mask"].copy()}
    with_one["mask"][1:] = False
    assert np.isnan(BY_NAME["pd@1e-5"].statistic(with_one).value(np.array([0, 1, 1, 2])))


def test_budgets_agree_with_the_package_of_the_field() -> None:
    targetwise = pytest.importorskip(
        "py_irstd_metrics.targetwise_metrics", reason="pyirstdmetrics is not installed: no oracle"
    )
    samples, found, alarms = noisy(), [], []
    for threshold in THRESHOLDS:
        package = targetwise.ProbabilityDetectionAndFalseAlarmRate(num_bins=1, distance_threshold=3)
        for soft, mask in zip(samples["probability"], samples["mask"], strict=True):
            package.update((soft > np.float32(threshold)).astype(float), mask)
        found.append(package.tp_objs[0] / (package.tp_objs[0] + package.fn_objs[0]))
        alarms.append(package.fp_area[0] / samples["mask"].size)
    for budget, value in zip(BUDGETS, at_budgets(samples), strict=True):
        within = [100 * pd for pd, fa in zip(found, alarms, strict=True) if fa <= budget]
        assert value == pytest.approx(max(within, default=0))


def test_curves_of_pixels_agree_with_scikit_learn_at_every_threshold() -> None:
    samples = noisy()
    truth, soft = samples["mask"].ravel(), samples["probability"].ravel()
    for (at, recall, precision), (_, rate, _), limit in zip(
        precision_recall(samples), roc(samples), THRESHOLDS, strict=True
    ):
        hard = soft > np.float32(limit)
        assert at == limit
        assert recall == pytest.approx(recall_score(truth, hard))
        assert rate == pytest.approx(1 - recall_score(~truth, ~hard))
        assert (
            precision == pytest.approx(precision_score(truth, hard), nan_ok=True) if hard.any() else np.isnan(precision)
        )
    assert targets_found(samples)[:, 2].max() <= 100


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one run of a filter."""
    store = tmp_path_factory.mktemp("operating") / "results"
    words = ["task=sparse_object", "method=tophat", "scale=smoke", "data.images=20", "data.size=32", "profile=none"]
    assert main([*words, "companions=false", "report=false", "pictures=false", f"store={store}"]) == 0
    return store


def test_a_run_keeps_its_curves_in_some_kilobytes_and_its_page_draws_them(made: Path, tmp_path: Path) -> None:
    (record,) = Store(made).records()
    (size,) = [file.bytes for file in record.files if file.name == OPERATING]
    assert size < 20_000
    curves = read_operating(Store(made), record)
    assert [curve.x for curve in curves] == ["recall", "false positive rate", "fa (1e-6)"]
    values = {row.metric: row.value for row in record.quality}
    (at_half,) = [point for point in curves[2].points if point[0] == 0.5]
    assert at_half[1:] == pytest.approx((values["fa"], values["pd"]), rel=1e-3)
    assert main(["report", "--store", str(made), "--out", str(tmp_path / "report"), "--no-published"]) == 0
    page = (tmp_path / "report/runs" / f"{record.run_id}.html").read_text(encoding="utf-8")
    assert "Operating curves" in page
    assert page.count("threshold 0.5: ") >= 3


def test_an_older_record_gets_metrics_and_curves_by_rescore(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made, tmp_path / "old")
    (path,) = (tmp_path / "old").glob("sparse_object/*/record.json")
    record = decode(path.read_bytes())
    (path.parent / OPERATING).unlink()
    quality = [row for row in record.quality if row.metric not in NEW]
    files = [file for file in record.files if file.name != OPERATING]
    path.write_bytes(encode(msgspec.structs.replace(record, quality=quality, files=files)))
    store = Store(tmp_path / "old")
    assert read_operating(store, store.get(record.run_id)) == []
    assert main(["rescore", "--store", store.root]) == 0
    said = capsys.readouterr().out
    assert all(f"{name} is new" in said for name in NEW)
    assert "operating curves are new" in said
    new = store.find(record.key)
    assert new is not None
    assert [row.value for row in new.quality] == [row.value for row in record.quality]
    assert read_operating(store, new) == read_operating(Store(made), record)
    assert main(["verify", "--store", store.root]) == 0
    assert main(["rescore", "--store", store.root]) == 0
    assert "0 changed" in capsys.readouterr().out


def test_curves_are_published_with_the_figures(made: Path, tmp_path: Path) -> None:
    (record,) = Store(made).records()
    folder = publish(Store(made), record.run_id, tmp_path, allow_dirty=True)
    assert (folder / OPERATING).is_file()


def test_a_damaged_file_of_curves_is_named_and_the_page_is_made(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(made, tmp_path / "damaged")
    (path,) = (tmp_path / "damaged").glob(f"sparse_object/*/{OPERATING}")
    path.write_text("[{")
    main(["report", "--store", str(tmp_path / "damaged"), "--out", str(tmp_path / "report"), "--no-published"])
    page = (tmp_path / "report/runs" / f"{path.parent.name}.html").read_text(encoding="utf-8")
    assert re.search(rf"not there: {OPERATING}: .* \(damaged\)", page)
    assert "Operating curves" not in page


def test_a_curve_is_drawn_between_its_axes_and_one_point_is_none() -> None:
    points = [(0.9, 0.0, 0.2), (0.5, 1e-5, 0.6), (0.1, 1e-2, 0.9)]
    curve = OperatingCurve(name="ROC", x="fpr", y="tpr", logarithmic=True, most=1.0, chosen=0.5, points=points)
    drawn = operating_plot(curve)
    assert drawn is not None
    places = [tuple(map(float, place.split(","))) for place in drawn.split('d="M')[1].split('"')[0].split(" L")]
    assert [place[0] for place in places] == sorted({place[0] for place in places})
    assert places[0][0] == 70
    assert places[-1] == (620, pytest.approx(368 - 0.9 * 336, abs=0.1))
    assert "threshold 0.5: fpr 1e-05, tpr 0.6" in drawn
    assert operating_plot(msgspec.structs.replace(curve, points=points[:1])) is None
