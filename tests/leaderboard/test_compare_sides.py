"""A side is a store, a records.json or a revision; damage is named and does not end the comparison; torch stays out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

from benchmarks.commands.compare import main
from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.compare import compare, open_side
from benchmarks.leaderboard.compare.finding import Level
from benchmarks.leaderboard.record import SCHEMA
from benchmarks.leaderboard.report.exports import records_json
from benchmarks.leaderboard.report.sections import collect
from benchmarks.leaderboard.store import Store

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = "a1b2c3d4" * 5, "a1b2ffff" * 5


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def store(folder, commit) -> Store:
    """One store with the runs of two commits, the later one worse."""
    store = Store("results")
    for seed in range(3):
        for sha, value, side in ((OLD, 0.8, "base"), (NEW, 0.79, "head")):
            commit(store, value, seed=seed, side=side, sha=sha)
    return store


def test_short_shas_take_the_runs_of_their_commits(store):
    base, head = open_side("a1b2c", [store]), open_side(NEW[:6], [store])
    assert {run.record.provenance.git_sha for run in base.runs} == {OLD}
    assert (len(base.runs), len(head.runs), len(base.history)) == (3, 3, 6)
    assert compare(base, head).exit_code == 1
    assert compare(head, base).exit_code == 0


def test_the_command_takes_revisions_of_the_store_that_is_named(store, capsys):
    assert main(["a1b2c", NEW, "--store", "results", "--no-published"]) == 1
    assert "commit a1b2c3d4a1b2 in results" in capsys.readouterr().out


def test_git_resolves_names_where_the_repository_is(folder, commit):
    def git(*words: str) -> str:
        author = {
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@b",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@b",
        }
        environment = {**os.environ, **author, "GIT_CONFIG_GLOBAL": os.devnull}
        done = subprocess.run(["git", *words], capture_output=True, text=True, check=True, env=environment)
        return done.stdout.strip()

    git("init", "-q")
    shas = []
    for message in ("one", "two"):
        git("commit", "-q", "--allow-empty", "-m", message)
        shas.append(git("rev-parse", "HEAD"))
    store = Store("results")
    for sha, side in zip(shas, ("base", "head"), strict=True):
        commit(store, sha=sha, side=side)
    base, head = open_side("HEAD~1", [store], folder), open_side("HEAD", [store], folder)
    assert [side.runs[0].record.provenance.git_sha for side in (base, head)] == shas
    with pytest.raises(BenchmarkError, match=r"'HEAD~7' is no folder, no records\.json, and no git revision"):
        open_side("HEAD~7", [store], folder)
    git("commit", "-q", "--allow-empty", "-m", "three")
    with pytest.raises(BenchmarkError, match=r"has no runs in results.*--store PATH.*Commits with runs"):
        open_side("HEAD", [store], folder)


@pytest.mark.parametrize(
    ("typed", "said"),
    [("nowhere", "Commits with runs in results: a1b2"), ("a1b2", "begins several commits"), ("--x", "is no folder")],
)
def test_what_is_no_side_is_answered_with_what_there_is(store, typed, said):
    with pytest.raises(BenchmarkError, match=said):
        open_side(typed, [store], ROOT)


def test_a_list_of_records_compares_with_the_noise_of_training_alone(store, folder):
    Path("report").mkdir()
    Path("report/records.json").write_bytes(records_json(collect([store])))
    for typed in ("report/records.json", "report"):
        side = open_side(typed, [])
        assert len(side.runs) == 6
    records = json.loads(Path("report/records.json").read_text())
    for name, sha in (("old.json", OLD), ("new.json", NEW)):
        Path(name).write_text(json.dumps([r for r in records if r["provenance"]["git_sha"] == sha]))
    comparison = compare(open_side("old.json", []), open_side("new.json", []))
    assert comparison.tests[0].change.noise == "training"
    assert comparison.exit_code == 1


def test_urls_are_stores_or_lists(commit):
    store = Store("memory://compare-store")
    commit(store)
    with fsspec.open("memory://lists/records.json", "wb") as stream:
        stream.write(records_json(collect([store])))
    assert len(open_side("memory://compare-store", []).runs) == 1
    assert len(open_side("memory://lists/records.json", []).runs) == 1


@pytest.mark.parametrize("content", ["{", "{}", None], ids=["damaged", "no list", "missing"])
def test_a_list_that_cannot_be_read_exits_with_2_and_a_sentence(store, content, capsys):
    if content is not None:
        Path("records.json").write_text(content)
    typed = "records.json" if content is not None else "memory://nowhere/records.json"
    assert main([typed, "results"]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert output.out == ""


@pytest.mark.parametrize("damage", ["truncated", "schema 0", "replicates"])
def test_a_damaged_run_is_named_and_the_rest_compared(store, commit, damage, capsys):
    for side in ("base", "head"):
        for seed in range(3):
            commit(Store(side), side=side, seed=seed)
            victim = commit(Store(side), side=side, seed=seed, method="svd")
    path = Path("head/ctr") / victim.run_id / "record.json"
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:300])
    elif damage == "schema 0":
        path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 0'))
    else:
        path = path.with_name("replicates.npz")
        path.write_bytes(b"no archive")
    assert main(["base", "head"]) == 0
    assert str(path) in capsys.readouterr().out
    assert main(["base", "head", "--strict"]) == 1
    comparison = compare(open_side("base", []), open_side("head", []))
    assert "unreadable" in {f.kind for f in comparison.findings if f.level is Level.CHECK}
    assert any(test.pair.label.endswith("none · net") for test in comparison.tests)


def test_a_damaged_entry_of_a_list_is_named(store):
    records = json.loads(records_json(collect([store])))
    records[1] = records[1] | {"schema": 0}
    records[2] = 7
    Path("records.json").write_text(json.dumps(records))
    side = open_side("records.json", [])
    assert len(side.runs) == 4
    assert [text.split(": ")[0] for text in side.unreadable] == [
        f"records.json[1] ({records[1]['run_id']})",
        "records.json[2]",
    ]


def test_uncommitted_changes_are_told(store, commit):
    commit(store, provenance={"git_sha": OLD, "git_dirty": True})
    side = open_side("a1b2c", [store])
    assert "uncommitted" in {found.kind for found in compare(side, side).findings}


def test_a_comparison_with_a_page_imports_no_torch(store):
    program = (
        "import sys; from benchmarks.__main__ import main; "
        "code = main(['compare', 'results', 'results', '--html', 'page.html', '--markdown', 'summary.md']); "
        "print(code, sorted({'torch', 'lightning', 'hydra', 'pandas'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.splitlines()[-1] == "0 []"
    assert Path("page.html").is_file()
    assert Path("summary.md").is_file()
