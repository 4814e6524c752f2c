"""What is typed becomes one configuration, or one paragraph that says what to type instead."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.config import choices, expand
from benchmarks.errors import BenchmarkError
from benchmarks.later import LATER
from benchmarks.registry import entries, tasks_for
from benchmarks.spec import RunSpec

ROOT = Path(__file__).resolve().parents[2]
METHODS = sorted(entries("method"))
TASK_OF = {method: tasks_for(method)[0] for method in METHODS}


def refusal(*words: str) -> str:
    with pytest.raises(BenchmarkError) as caught:
        RunSpec.of(words)
    text = str(caught.value)
    assert "\n" not in text, f"more than a paragraph: {text}"
    return text


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("seed=abc", "Integer"),
        ("seed=1.5", "Integer"),
        ("seed=true", "Integer"),
        ("seed=-1", "0 or more"),
        ("seed=5000000000", "at most 4294967295"),
        ("trainer.max_epochs=abc", "Integer"),
        ("trainer.patience=1.5", "Integer"),
        ("trainer.milestones=3", "list"),
        ("trainer.batch_size=0", "1 or more"),
        ("trainer.learning_rate=nan", "finite"),
        ("trainer.ema_decay=1.0", "below 1"),
        ("trainer.logger=nope", "csv, tensorboard, mlflow, wandb"),
        ("trainer.precision=8", "32-true"),
        ("companions=maybe", "bool"),
        ("if_exists=maybe", "reuse, skip, rerun, error"),
        ("profile=fastt", "none, brief, fast, full"),
        ("model.embedding_dim=abc", "model.embedding_dim=10"),
        ("model.hidden_units=[a]", "model.hidden_units=[400,400,400]"),
        ("model.embedding_dim=0", "1 or more"),
        ("model.hidden_units=[8,0]", "1 or more"),
        ("finetune.max_epochs=-1", "0 or more"),
        ("seed=null", "null"),
    ],
)
def test_a_value_of_the_wrong_kind_is_shown_with_what_is_allowed(typed: str, what: str) -> None:
    text = refusal(typed)
    assert typed.partition("=")[0] in text
    assert what in text


@pytest.mark.parametrize(
    ("typed", "given", "nearest"),
    [
        ("method.rannk=3", "method.rannk", "method.rank"),
        ("+method.rannk=3", "method.rannk", "method.rank"),
        ("trainer.max_epoch=3", "trainer.max_epoch", "trainer.max_epochs"),
        ("+trainer.max_epoch=3", "trainer.max_epoch", "trainer.max_epochs"),
        ("traner.max_epochs=3", "traner.max_epochs", "trainer.max_epochs"),
        ("model.embeding_dim=3", "model.embeding_dim", "model.embedding_dim"),
        ("sed=3", "sed", "seed"),
        ("method=svdd", "svdd", "svd"),
        ("task=ctrr", "ctrr", "ctr"),
        ("model=deepfmm", "deepfmm", "deepfm"),
        ("data=ml_100", "ml_100", "ml_100k"),
        ("scale=smal", "smal", "small"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_one(typed: str, given: str, nearest: str) -> None:
    text = refusal(typed)
    assert f"'{given}'" in text
    assert f"Did you mean '{nearest}'?" in text


@pytest.mark.parametrize("typed", ["nope=1", "+nope=1", "data=nope", "model=x", "scale=big", "method=null", "task="])
def test_a_name_like_no_other_is_answered_with_all_of_them(typed: str) -> None:
    text = refusal(typed)
    assert "Unknown" in text
    assert "Valid: " in text


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ("seed", "key=value"),
        ("=3", "key=value"),
        ("'", "key=value"),
        ("~seed", "seed=null"),
        ("seed=0,1", "-m seed=0,1"),
        ("method=glob(*)", "-m method=glob(*)"),
        ("method=svd,afm", "-m method=svd,afm"),
        ("method.rank=[1", "--help"),
        ("x=y=z", "--help"),
        ("method.name=afm", "method=NAME"),
        ("method.kind=train", "method=NAME"),
        ("task.version=3", "task=NAME"),
        ("data.id=ml_100k", "data=NAME"),
        ("store=", "store=results"),
    ],
)
def test_what_cannot_be_read_as_a_setting_is_answered_with_what_to_type(typed: str, advice: str) -> None:
    assert advice in refusal(typed)


@pytest.mark.parametrize(("scale", "card"), [("smoke", "sim_clicks"), ("small", "ml_100k"), ("paper", "frappe_x1r")])
def test_task_and_scale_choose_model_and_data(scale: str, card: str) -> None:
    spec = RunSpec.of(["task=ctr", f"scale={scale}"])
    assert (spec.model, spec.card.id, spec.scale) == ("deepfm", card, scale)


def test_smoke_runs_are_timed_briefly_unless_more_is_asked_for() -> None:
    found = [RunSpec.of(words).config["profile"] for words in ([], ["scale=smoke"], ["scale=smoke", "profile=fast"])]
    assert found == ["fast", "brief", "fast"]


def test_a_method_may_say_what_is_enough_of_it_for_a_smoke_run() -> None:
    words = ["task=hsi_restoration", "method=dps"]
    steps = [RunSpec.of([*words, *more]).config["method"]["steps"] for more in ([], ["scale=smoke"])]
    assert steps == [100, 8]
    assert RunSpec.of([*words, "scale=smoke", "method.steps=50"]).config["method"]["steps"] == 50
    of_a_base = RunSpec.of(["experiment=restoration_shots", "method=colora", "scale=smoke"]).config["method"]
    assert (of_a_base["name"], of_a_base["probe_steps"]) == ("colora", 2)


def test_a_typed_choice_wins_over_the_default_of_task_and_scale() -> None:
    spec = RunSpec.of(["scale=smoke", "data=ml_100k", "model=dnn", "trainer.max_epochs=7"])
    assert (spec.card.id, spec.model) == ("ml_100k", "dnn")
    assert spec.config["trainer"]["max_epochs"] == 7


@pytest.fixture(scope="module")
def default() -> RunSpec:
    return RunSpec.of(["scale=smoke"])


def test_the_order_of_words_does_not_matter() -> None:
    words = ["task=ctr", "method=afm", "scale=smoke", "method.rank=8", "seed=1"]
    assert RunSpec.of(words).key == RunSpec.of(words[::-1]).key


def test_a_default_that_is_typed_is_the_same_run(default: RunSpec) -> None:
    assert default.key == RunSpec.of(["scale=smoke", "method.rank=16", "seed=0"]).key


@pytest.mark.parametrize(
    "typed",
    [
        "trainer.accelerator=cpu trainer.devices=2 trainer.threads=1", "trainer.progress=false trainer.logger=csv",
        "profile=none", "store=elsewhere report=false companions=false if_exists=rerun", "seed=1",
    ],
)  # fmt: skip
def test_where_and_how_visibly_a_run_is_made_does_not_change_its_row(typed: str, default: RunSpec) -> None:
    assert RunSpec.of(["scale=smoke", *typed.split()]).config_hash == default.config_hash


@pytest.mark.parametrize(
    "typed",
    [
        "method=afm", "method.rank=8", "method.targets=[embedding,linear] method.table_rank=4", "model=dnn",
        "model.dropout=0.1", "data=ml_100k", "data.rows=8000", "scale=small data=sim_clicks", "protocol=upstream",
        "trainer.max_epochs=3", "trainer.batch_size=64", "trainer.optimizer=sgd", "trainer.learning_rate=0.1",
        "trainer.weight_decay=0.1", "trainer.schedule=cosine", "trainer.warmup_epochs=1", "trainer.milestones=[1]",
        "trainer.step_factor=0.5",
        "trainer.min_learning_rate=0.1", "trainer.patience=5", "trainer.min_delta=0.1", "trainer.gradient_clip=1",
        "trainer.accumulate=2", "trainer.ema_decay=0.9", "trainer.precision=bf16-mixed", "trainer.compile=true",
        "finetune.max_epochs=7", "finetune.learning_rate=0.1", "finetune.patience=3",
    ],
)  # fmt: skip
def test_whatever_may_change_a_number_makes_another_row(typed: str, default: RunSpec) -> None:
    assert RunSpec.of(["scale=smoke", *typed.split()]).config_hash != default.config_hash


def test_a_key_that_came_later_leaves_older_rows_as_they_were() -> None:
    """The hash of the first published command, made before these keys were there."""
    assert all(
        key.partition(".")[0] in ("task", "trainer", "finetune", "model", "method", "data", "shots") for key in LATER
    )
    assert RunSpec.of(["task=ctr"]).config_hash.startswith("5b457d68")


def test_settings_that_a_method_never_reads_do_not_split_its_rows() -> None:
    one = RunSpec.of(["scale=smoke", "method=none"])
    assert one.config_hash == RunSpec.of(["scale=smoke", "method=none", "finetune.max_epochs=9"]).config_hash


def test_the_seed_changes_the_run_and_not_its_row(default: RunSpec) -> None:
    other = RunSpec.of(["scale=smoke", "seed=1"])
    assert default.config_hash == other.config_hash
    assert default.key != other.key


def test_other_data_options_have_another_fingerprint(default: RunSpec) -> None:
    assert default.data_fingerprint != RunSpec.of(["scale=smoke", "data.rows=8000"]).data_fingerprint


def test_other_weights_under_the_same_path_are_another_run(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(b"one")
    before = RunSpec.of(["scale=smoke", f"weights={path}"]).key
    path.write_bytes(b"two")
    assert RunSpec.of(["scale=smoke", f"weights={path}"]).key != before


def test_a_sweep_is_the_product_of_its_values_in_hydras_order() -> None:
    points = expand(["scale=smoke", "method=svd,afm", "seed=0,1"])
    assert points == [
        ["scale=smoke", f"method={method}", f"seed={seed}"] for method in ("svd", "afm") for seed in (0, 1)
    ]


def test_a_glob_over_methods_names_every_one() -> None:
    points = expand(["task=ctr", "method=glob(*)", "seed=0,1,2"])
    assert {point[1] for point in points} == {f"method={name}" for name in METHODS}
    assert len(points) == 3 * len(METHODS)
    assert len(set(map(tuple, points))) == len(points)


@pytest.mark.parametrize("group", ["task", "model", "data"])
def test_a_glob_names_the_choices_of_a_group_and_no_default(group: str) -> None:
    assert [point[0] for point in expand([f"{group}=glob(*)"])] == [f"{group}={name}" for name in choices(group)]


def test_settings_of_a_method_go_to_a_base_of_the_same_method() -> None:
    words = ["task=restoration", "method=prod", "method.epochs=10"]
    assert RunSpec.of(words).base().config["method"]["epochs"] == 10
    assert RunSpec.of([*words[:1], "method=lora", "method.rank=2"]).base().config["method"]["epochs"] == 3


def test_an_experiment_can_be_switched_off() -> None:
    assert RunSpec.of(["experiment=null"]).key == RunSpec.of([]).key


def test_lists_in_a_sweep_stay_lists() -> None:
    assert expand(["trainer.milestones=[1,2]", "seed=range(0,2)"]) == [
        ["trainer.milestones=[1,2]", "seed=0"],
        ["trainer.milestones=[1,2]", "seed=1"],
    ]


def test_a_malformed_sweep_is_explained() -> None:
    with pytest.raises(BenchmarkError, match="seed=0,,1"):
        expand(["seed=0,,1"])


@pytest.mark.parametrize("method", METHODS)
def test_every_method_composes_and_reads_all_keys_of_its_file(method: str) -> None:
    from dataclasses import fields

    from benchmarks.method import Method

    spec = RunSpec.of(["scale=smoke", f"task={TASK_OF[method]}", f"method={method}"])
    kind = entries("method")[method].load(Method)
    assert {field.name for field in fields(kind)} == set(spec.settings("method"))


def test_a_model_typed_as_method_is_answered_with_what_to_type() -> None:
    with pytest.raises(BenchmarkError, match="Type method=none model=rpcanet_pp "):
        RunSpec.of(["task=sparse_object", "method=rpcanet_pp"])
    with pytest.raises(BenchmarkError, match=r"tophat is a method\. Type method=tophat"):
        RunSpec.of(["task=sparse_object", "model=tophat"])


def test_misfits_are_refused_before_torch_is_imported(tmp_path: Path) -> None:
    """A third-party method that needs what ctr lacks; asked in a process of its own, which tells what it imported."""
    package = tmp_path / "needy-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: needy\nVersion: 1\n", encoding="utf-8")
    (package / "entry_points.txt").write_text("[benchmarks.methods]\nneedy = needy\n", encoding="utf-8")
    (tmp_path / "needy.py").write_text("", encoding="utf-8")
    (tmp_path / "needy.yaml").write_text(
        "name: needy\nversion: 1\nkind: compress\nrequires: [conv2d]\nsummary: Needs convolutions\n", encoding="utf-8"
    )
    code = (
        "import sys; from benchmarks.__main__ import main; code = main(['task=ctr', 'method=needy']); "
        "print(code, [name for name in ('torch', 'lightning', 'ranx', 'scipy') if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=120
    )
    assert done.stdout.strip() == "1 []", done.stderr
    assert "needs conv2d" in done.stderr
    assert "Methods for ctr: " in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["+method._target_=os.system"],
        ["+_target_=os.system"],
        ["+trainer._target_=os.system"],
        ["+model._target_=builtins.eval"],
        ["+data._target_=os.system"],
        ["+task._target_=os.system"],
        ["method={_target_:os.system,command:touch stolen}"],
    ],
    ids=" ".join,
)
def test_nothing_that_is_typed_is_imported_or_called(words: list[str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BenchmarkError):
        RunSpec.of(["task=ctr", "scale=smoke", *words])
    assert not list(tmp_path.iterdir())


def test_no_configuration_file_names_something_to_call_and_no_code_would_call_it() -> None:
    root = Path(__file__).resolve().parents[2]
    files = [path for folder in ("conf", "datasets") for path in (root / folder).rglob("*.yaml")]
    assert len(files) > 100
    assert [path for path in files if "_target_" in path.read_text(encoding="utf-8")] == []
    code = [
        path for folder in ("benchmarks", "datasets", "leaderboard", "models") for path in (root / folder).rglob("*.py")
    ]
    assert [path for path in code if "instantiate(" in path.read_text(encoding="utf-8")] == []
