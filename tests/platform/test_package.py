"""What is installed: which packages it shadows, what its wheel holds, and that the command line stays light."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("benchmarks", "conf", "datasets", "leaderboard", "models")
HEAVY = ("torch", "lightning", "hydra", "omegaconf", "scipy", "sklearn", "ranx", "timm", "rasterio")
FOREIGN = re.compile(r"/[w]ork/|/[f]arm/|/[r]oot/\.|python[h]osted|registry[.]npmjs|pypi[.]org|deb[.]debian")
"""Paths of one machine, and hosts of package registries."""

LOADED = "import sys; from benchmarks.__main__ import main; main({words}); print(*sys.modules, file=sys.stderr)"


def python(code: str, folder: Path, *path: Path) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter that finds packages in its working folder, in `path`, and where ours does."""
    environment = {"PYTHONPATH": ":".join(map(str, path)), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def files() -> list[Path]:
    """What the repository holds or would hold after the next commit."""
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    command = ["git", "ls-files", "-z", "-co", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def measured(path: Path) -> bool:
    """Whether a file is something that runs left behind, which the repository shows and the program does not need."""
    return "published" in path.parts or path.suffix == ".png" or path == Path("leaderboard", "grid.csv")


def test_the_folder_datasets_does_not_answer_for_the_package_of_that_name(tmp_path: Path) -> None:
    code = "import benchmarks, importlib.util as u; found = u.find_spec('datasets'); print(found and found.origin)"
    for folder, path in ((ROOT, ()), (tmp_path, (ROOT,))):
        assert str(ROOT) not in python(code, folder, *path).stdout


def test_a_real_package_named_datasets_is_imported_in_its_place(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "site" / "datasets").mkdir(parents=True)
    (tmp_path / "site" / "datasets" / "__init__.py").write_text("REAL = True\n", encoding="utf-8")
    code = "import benchmarks.datasets.bundle, datasets; print(datasets.REAL)"
    assert python(code, ROOT, tmp_path / "site").stdout == "True\n"
    assert python(code, tmp_path / "elsewhere", ROOT, tmp_path / "site").stdout == "True\n"


def test_a_spawned_process_imports_the_same_packages(tmp_path: Path) -> None:
    child = "import benchmarks.datasets.bundle, benchmarks.models, importlib.util as u; print(u.find_spec('datasets'))"
    code = (
        "import benchmarks, multiprocessing as m; child = m.get_context('spawn').Process("
        f"target=exec, args=({child!r},)); child.start(); child.join(); raise SystemExit(child.exitcode)"
    )
    for folder, path in ((ROOT, ()), (tmp_path, (ROOT,))):
        assert str(ROOT) not in python(code, folder, *path).stdout


@pytest.mark.parametrize(
    ("words", "absent"),
    [
        (["--help"], (*HEAVY, "numpy", "yaml")),
        (["--version"], (*HEAVY, "numpy", "yaml")),
        (["list"], (*HEAVY, "numpy", "msgspec")),
        (["data", "list"], HEAVY),
        (["report"], ("torch", "lightning", "hydra")),  # SciPy where a p value is smaller than the resamples resolve
        (["verify"], ("torch", "lightning", "hydra", "scipy")),
    ],
)
def test_light_commands_import_nothing_heavy(words: list[str], absent: tuple[str, ...], tmp_path: Path) -> None:
    loaded = python(LOADED.format(words=words), tmp_path, ROOT).stderr.split()
    assert "benchmarks.__main__" in loaded
    assert not set(absent) & set(loaded)


def test_no_file_names_a_path_of_one_machine_or_a_registry_host() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in files()
        if (match := FOREIGN.search(path.read_text(encoding="utf-8", errors="replace")))
    }
    assert not found


def test_the_lock_holds_an_allowed_version_of_every_dependency_with_its_hashes() -> None:
    lock = (ROOT / "requirements" / "ci.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)==([^ \\]+).*\\\n +--hash=sha256:[0-9a-f]{64}", lock, re.MULTILINE)
    assert len(pins) == len(re.findall("^[A-Za-z0-9]", lock, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for line in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]:
        wanted = Requirement(line)
        versions = [version for name, version in pins if canonicalize_name(name) == canonicalize_name(wanted.name)]
        assert versions, f"{wanted.name} is missing; the first lines of requirements/ci.lock say how it is made"
        assert all(version in wanted.specifier for version in versions), f"{line}: the lock has {versions}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of the tree as it stands, built from a copy, because building leaves folders behind."""
    tree = tmp_path_factory.mktemp("tree")
    for path in files():
        copy = tree / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tree / "dist"), str(tree)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return zipfile.ZipFile(next((tree / "dist").glob("*.whl")))


@pytest.mark.slow
def test_the_wheel_holds_the_package_benchmarks_alone_and_whole(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tree = {path.relative_to(ROOT) for path in files()}
    wanted = {path for path in tree if path.parts[0] in PACKAGES and not measured(path)}
    assert held == {str(path if path.parts[0] == "benchmarks" else "benchmarks" / path) for path in wanted}
    assert any(name.endswith("/licenses/LICENSE") for name in wheel.namelist())


@pytest.mark.slow
def test_the_wheel_works_from_any_folder(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    (tmp_path / "elsewhere").mkdir()
    code = "import benchmarks, sys; from benchmarks.__main__ import main; print(benchmarks.__file__); main(['list'])"
    place, _, listed = python(code, tmp_path / "elsewhere", tmp_path / "site").stdout.partition("\n")
    assert place == str(tmp_path / "site" / "benchmarks" / "__init__.py")
    assert listed == python(code, ROOT).stdout.partition("\n")[2]
    imports = "import benchmarks.app, benchmarks.ctr.task, benchmarks.methods.afm, benchmarks.leaderboard.report"
    python(imports, tmp_path / "elsewhere", tmp_path / "site")
