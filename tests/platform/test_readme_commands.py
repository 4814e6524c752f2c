"""The README's commands are understood as they stand there, and every command is shown."""

from __future__ import annotations

import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from benchmarks.__main__ import COMMANDS, main
from benchmarks.commands import tune
from benchmarks.config import expand
from benchmarks.errors import Misfit
from benchmarks.launchers import EXTRAS, _engine, launcher_of
from benchmarks.spec import RunSpec
from quick_runs import clicks

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.usefixtures("quick", "folder")


def readme_commands() -> list[list[str]]:
    """Those of the section of commands, and every run that the README shows elsewhere."""
    block = re.search(r"## Commands\n\n```bash\n(.*?)```", README, re.DOTALL)
    assert block is not None
    runs = [line for line in re.findall(r"^python -m benchmarks .*", README, re.MULTILINE) if "=" in line]
    lines = dict.fromkeys([*block[1].splitlines(), *runs])
    return [shlex.split(line, comments=True)[3:] for line in lines]


def points(words: list[str]) -> list[list[str]]:
    """The runs that a command makes, or of many of them a dozen."""
    typed = [word for word in words if "=" in word and not word.startswith("hydra")]
    if words[0] == "tune":
        space = tune._space(typed)
        assert tune._searching(tune._parser().parse_known_args(words[1:])[0], space) == ("--search" in words)
        fixed = [word for word in typed if word.partition("=")[0] not in space]
        return [[*fixed, *point] for point in tune._corners(space)]
    found = expand(typed) if words[0] in ("-m", "plan") else [typed]
    return found[:: max(1, len(found) // 12)]


@pytest.mark.parametrize("words", readme_commands(), ids=" ".join)
def test_the_readmes_commands_are_understood(words: list[str], trained: Path, folder: Path) -> None:
    if any("=" in word for word in words):
        fits = []
        for point in points(words):
            try:
                spec = RunSpec.of(point)
            except Misfit:
                continue
            fits.append(point)
            assert f"task={spec.task}" == point[0] or point[0].startswith("experiment=")
        assert fits
        return
    for store in ("results", "before"):
        shutil.copytree(trained / "results", folder / store)
    clicks(folder / "clicks.csv")
    assert main(words) == 0


@pytest.mark.parametrize(
    "words", [words for words in readme_commands() if any("launcher" in word for word in words)], ids=" ".join
)
def test_the_readmes_launchers_take_their_settings(words: list[str], folder: Path) -> None:
    launching = [word for word in words if word.startswith("hydra")]
    name = launching[0].partition("=")[2]
    if find_spec("hydra_plugins") is None or find_spec(f"hydra_plugins.hydra_{EXTRAS[name]}_launcher") is None:
        pytest.skip(f"the extra `{EXTRAS[name]}` is not installed")
    assert launcher_of(launching) == name
    with _engine(name, len, launching, folder, 3) as launcher:
        assert type(launcher).__module__.split(".")[1] == f"hydra_{EXTRAS[name]}_launcher"
        given = {
            word.partition("=")[0].removeprefix("hydra.launcher."): word.partition("=")[2] for word in launching[1:]
        }
        assert {key: str(launcher.params[key]) for key in given} == given


def test_the_readme_shows_every_command() -> None:
    shown = {words[0] for words in readme_commands()}
    assert shown >= set(COMMANDS) - {"publish", "retime"}
    assert "python -m benchmarks retime BASE HEAD" in README
