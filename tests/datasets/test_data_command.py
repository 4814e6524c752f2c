"""`python -m benchmarks data`: what it prints, and its exit status."""

from __future__ import annotations

import subprocess
import sys

import pytest

from benchmarks.commands.data import main
from benchmarks.errors import BenchmarkError


def test_list_shows_every_data_set_with_its_state(data_cache, capsys):
    assert main(["list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "by hand" in lines["frappe_x1r"]
    assert "fetchable" in lines["ml_100k"]
    assert "2.1 MB" in lines["ml_100k_random"]
    assert "built in" in lines["sim_clicks"]
    assert str(data_cache) in lines["Cache:"]


def test_fetch_where_and_verify_speak_of_one_folder(mirror, data_cache, capsys):
    assert main(["fetch", "frappe_x1r"]) == 0
    assert capsys.readouterr().out.strip() == str(data_cache / "frappe" / "frappe_x1r.npz")
    assert main(["where", "frappe_x1r"]) == 0
    assert capsys.readouterr().out.strip() == str(data_cache / "frappe")
    assert main(["verify", "frappe_x1r"]) == 0
    (data_cache / "frappe" / "frappe_x1r.npz").write_bytes(b"x")
    assert main(["verify"]) == 1
    assert "corrupt  frappe_x1r/frappe_x1r.npz" in capsys.readouterr().out


def test_fetch_goes_on_after_a_failure_and_exits_1(data_cache, capsys):
    assert main(["fetch", "frappe_x1r", "sim_clicks"]) == 1
    output = capsys.readouterr()
    assert "nothing to fetch" in output.out
    assert str(data_cache / "frappe" / "frappe_x1r.npz") in output.err


def test_a_typo_fails_before_anything_is_fetched(data_cache):
    with pytest.raises(BenchmarkError, match="Did you mean 'ml_100k'"):
        main(["fetch", "sim_clicks", "ml_100"])
    assert not data_cache.exists()


def test_verify_of_what_was_never_fetched_is_fine_unless_it_is_named(data_cache, capsys):
    assert main(["verify"]) == 0
    assert main(["verify", "ml_100k"]) == 1
    assert "missing  ml_100k/ml-100k.inter" in capsys.readouterr().out


def test_where_without_an_id_is_the_cache(data_cache, capsys):
    assert main(["where"]) == 0
    assert capsys.readouterr().out.strip() == str(data_cache)


def test_listing_imports_neither_torch_nor_a_downloader(data_cache):
    code = (
        "import sys; from benchmarks.commands.data import main; main(['list']); "
        "assert not {'torch', 'pooch', 'requests', 'numpy', 'rich', 'hydra'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_verify_shows_a_file_that_no_publisher_vouches_for(data_cache, capsys):
    (data_cache / "criteo_kaggle").mkdir(parents=True)
    (data_cache / "criteo_kaggle" / "train.txt").write_text("0\n")
    assert main(["verify", "criteo_kaggle"]) == 0
    assert capsys.readouterr().out.startswith("found    criteo_kaggle/train.txt: sha256 ")
