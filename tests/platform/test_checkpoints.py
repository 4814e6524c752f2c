"""A checkpoint is whole whenever a process is killed, and a damaged one is never gone on from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks import checkpoints
from benchmarks.checkpoints import LAST, NEXT, found, keep


def save(folder: Path, content: bytes) -> None:
    (folder / NEXT).write_bytes(content)
    keep(folder)


def test_the_latest_checkpoint_is_found(tmp_path):
    assert found(tmp_path) == (None, None)
    for epoch in (b"1", b"2", b"3"):
        save(tmp_path, epoch)
        assert found(tmp_path) == (tmp_path / LAST, None)
        assert (tmp_path / LAST).read_bytes() == epoch


@pytest.mark.parametrize("step", ["_write", "replace of the sums", "replace of the checkpoint"])
def test_a_process_killed_while_it_replaces_one_leaves_one(tmp_path, monkeypatch, step):
    save(tmp_path, b"1")

    def killed(source, target, real=os.replace):
        if step.endswith("sums") == (Path(target).name == "sha256"):
            raise KeyboardInterrupt
        real(source, target)

    if step == "_write":
        monkeypatch.setattr(checkpoints, "_write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    else:
        monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save(tmp_path, b"2")
    monkeypatch.undo()
    assert found(tmp_path) == (tmp_path / LAST, None)
    assert (tmp_path / LAST).read_bytes() == b"1"
    save(tmp_path, b"3")
    assert (found(tmp_path)[0], (tmp_path / LAST).read_bytes()) == (tmp_path / LAST, b"3")


@pytest.mark.parametrize("damage", ["byte", "cut", "empty", "no sums"])
def test_a_damaged_checkpoint_is_told_and_not_taken(tmp_path, damage):
    save(tmp_path, b"state of epoch 1")
    if damage == "no sums":
        (tmp_path / "sha256").unlink()
    else:
        (tmp_path / LAST).write_bytes({"byte": b"state of epoch 2", "cut": b"state", "empty": b""}[damage])
    path, why = found(tmp_path)
    assert path is None
    assert "damaged" in why
