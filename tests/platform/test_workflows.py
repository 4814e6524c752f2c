"""The workflows: least rights, pinned actions, and commands that a developer can type, which is done here on tiny runs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.leaderboard.store import Store

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
INSTALLS = {
    "install": "makes an environment out of a package index",
    "everything": "is .ci/run, which runs these tests",
    "audit": "asks a database on the network",
}
"""Steps that are not typed here, and why."""

WORDS = (
    "task=ctr method=none,svd scale=smoke data.rows=4000 model.embedding_dim=4 model.hidden_units=[64,64] "
    "trainer.batch_size=1024 trainer.max_epochs=1 finetune.max_epochs=1 trainer.accelerator=cpu trainer.threads=1 "
    "profile=none pictures=false"
)
"""Both are one base and what is made of it, at the suite's own rank."""

EXPRESSIONS = {
    "matrix.shard": "1",
    "github.token": "secret",
    "github.repository": "somebody/somewhere",
    "github.server_url": "https://example.org",
    "github.run_id": "7",
}


def load(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(workflow: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(job, step) for job, content in workflow["jobs"].items() for step in content["steps"]]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_workflow_asks_for_no_more_than_it_needs(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]
    for name, job in workflow["jobs"].items():
        assert job["timeout-minutes"], name
        assert set(job.get("permissions", {})) <= {"issues", "pages", "id-token"}, name
    triggers = workflow[True]  # YAML reads `on` as a truth value
    runners = [runner for job in workflow["jobs"].values() for runner in (job["runs-on"], *job["runs-on"])]
    if "self-hosted" in runners:
        assert set(triggers) <= {"schedule", "workflow_dispatch"}, "anybody could run code on that machine"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_actions_are_pinned_by_commit_and_keep_no_credentials(path: Path) -> None:
    for _, step in steps(load(path)):
        if "uses" in step:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
    pins = re.findall(r"uses: (\S+)@([0-9a-f]{40}) # (v[\d.]+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(pins) == sum("uses" in step for _, step in steps(load(path)))


def test_one_action_has_one_pin_everywhere() -> None:
    used = {step["uses"] for path in FILES for _, step in steps(load(path)) if "uses" in step}
    assert len({action.partition("@")[0] for action in used}) == len(used)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_from_outside_is_pasted_into_a_shell(path: Path) -> None:
    for _, step in steps(load(path)):
        assert "${{" not in step.get("run", ""), "pass it through env"
        assert "run" not in step or step.get("name"), "a step that is typed here has a name"


def test_every_expression_of_a_step_has_a_value_here() -> None:
    for path in FILES:
        for _, step in steps(load(path)):
            if "run" in step and step["name"] not in INSTALLS:
                for value in step.get("env", {}).values():
                    filled(value)


def filled(text: str) -> str:
    return re.sub(r"\$\{\{\s*(.+?)\s*\}\}", lambda found: EXPRESSIONS[found[1]], text)


class Night:
    """The steps of the nightly workflow, typed in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found = {
            step["name"]: step for _, step in steps(load(ROOT / ".github/workflows/gpu-nightly.yml")) if "run" in step
        }
        self.typed: set[str] = set()
        tools = folder / "tools"
        tools.mkdir()
        # A link would be another interpreter: which environment it is of shows in where it lies.
        (tools / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        (tools / "python").chmod(0o755)
        (tools / "gh").write_text('#!/bin/sh\necho "$@" >>gh.txt\n')
        (tools / "gh").chmod(0o755)
        for name in ("output.txt", "summary.md"):
            (folder / name).touch()
        self.environment = {
            **os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "WORDS": WORDS, "SHARDS": "1",
            "BASE": "base", "GITHUB_OUTPUT": str(folder / "output.txt"), "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        }  # fmt: skip

    def type(self, name: str, code: int = 0) -> str:
        step = self.found[name]
        self.typed.add(name)
        environment = self.environment | {key: filled(value) for key, value in step.get("env", {}).items()}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=400,
        )  # fmt: skip
        assert done.returncode == code, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def outputs(self) -> dict[str, str]:
        lines = (self.folder / "output.txt").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.mark.slow
def test_a_night_on_a_laptop(tmp_path: Path) -> None:
    """A night in which one machine lost a run: it is missed, made again, and nobody is alarmed. Then one that goes wrong."""
    night = Night(tmp_path)
    night.type("plan")
    assert json.loads(night.outputs()["matrix"]) == {"include": [{"shard": 1, "runs": 2}]}
    night.type("bench")
    shutil.copytree(tmp_path / "shard", tmp_path / "base")
    (lost,) = [record for record in Store(tmp_path / "shard").records() if record.method == "svd"]
    shutil.rmtree(tmp_path / "shard" / "ctr" / lost.run_id)
    (tmp_path / "shards").mkdir()
    (tmp_path / "shard").rename(tmp_path / "shards" / "shard-1")
    night.type("merge")
    night.type("verify")
    night.type("compare")
    assert "Fine" in (tmp_path / "summary.md").read_text()
    night.type("regressed")
    assert night.outputs()["regressed"] == "true"
    assert "method=svd" in (tmp_path / "regressed.txt").read_text()
    night.type("report")
    assert (tmp_path / "site" / "index.html").is_file()
    assert (tmp_path / "site" / "compare.html").is_file()

    (tmp_path / "nightly").mkdir()
    shutil.copy(tmp_path / "regressed.txt", tmp_path / "nightly")
    night.type("make again")
    assert {record.key for record in Store(tmp_path / "again").records(status="ok")} >= {lost.key}
    night.type("compare again")
    assert "Fine" in (tmp_path / "issue.md").read_text()

    shutil.rmtree(tmp_path / "again" / "ctr")
    assert "method=svd" in night.type("compare again", code=1)
    night.type("open an issue", code=1)
    assert "issue create" in (tmp_path / "gh.txt").read_text()
    assert "actions/runs/7" in (tmp_path / "issue.md").read_text()
    night.type("nothing compared", code=1)
    assert night.typed | INSTALLS.keys() >= night.found.keys(), "a step that nobody has typed"


def test_the_workflows_pass_the_linters() -> None:
    found = 0
    for command in (
        ["zizmor", "--offline", "--quiet"],
        ["check-jsonschema", "--builtin-schema", "vendor.github-workflows"],
    ):
        tool = shutil.which(command[0], path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if tool is None:
            continue
        found += 1
        done = subprocess.run([tool, *command[1:], *map(str, FILES)], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    if not found:
        pytest.skip("neither zizmor nor check-jsonschema is installed")
