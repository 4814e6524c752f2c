"""Where a figure comes from: code, packages and machine, without naming the machine."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from benchmarks.leaderboard.record import Provenance

PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "numpy",
    "scipy",
    "timm",
    "hydra-core",
    "ranx",
    "safetensors",
    "tensorly",
    "scikit-learn",
)
ROOT = Path(__file__).resolve().parent.parent
CODE = ("benchmarks", "conf", "datasets", "models", "leaderboard", "pyproject.toml", ":(exclude)leaderboard/published")
"""Where a new file may change what a run does, as git takes it."""


def provenance(pretrained: list[dict[str, str]] | None = None) -> Provenance:
    """All that is known of this process; what cannot be found out is None."""
    sha, dirty, diff = _git()
    cuda = torch.cuda.is_available()
    return Provenance(
        git_sha=sha,
        git_dirty=dirty,
        git_diff_sha256=diff,
        python=platform.python_version(),
        packages={name: found for name in PACKAGES if (found := _version(name))},
        torch_build=str(torch.__version__),
        cuda=torch.version.cuda if cuda else None,
        gpu_name=torch.cuda.get_device_name() if cuda else None,
        driver=_driver() if cuda else None,
        cpu_model=cpu_model(),
        cores=os.cpu_count(),
        threads=torch.get_num_threads(),
        ram_bytes=_ram(),
        host_hash=hashlib.sha256(platform.node().encode()).hexdigest()[:12],
        determinism={
            "deterministic": torch.are_deterministic_algorithms_enabled(),
            "tf32": torch.backends.cuda.matmul.allow_tf32,
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "matmul_precision": torch.get_float32_matmul_precision(),
        },
        pretrained=pretrained or [],
    )


@cache
def cpu_model() -> str | None:
    """The processor's name as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def _git() -> tuple[str | None, bool | None, str | None]:
    """Commit, whether tracked files or new ones among the code differ from it, and the sha256 of the difference.

    Data and answers that somebody keeps beside the code change no run.
    """
    if not (ROOT / ".git").exists():
        return None, None, None

    def ask(*words: str) -> bytes:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, check=True, timeout=20).stdout

    try:
        sha = ask("rev-parse", "HEAD").decode().strip()
        status = ask("status", "--porcelain", "--untracked-files=no")
        status += ask("ls-files", "--others", "--exclude-standard", "--", *CODE)
        diff = hashlib.sha256(status + ask("diff", "HEAD")).hexdigest() if status else None
    except (OSError, subprocess.SubprocessError):
        return None, None, None
    return sha, bool(status), diff


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _driver() -> str | None:
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        return (
            subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
            .stdout.splitlines()[0]
            .strip()
        )
    except (OSError, subprocess.SubprocessError, IndexError):
        return None


def _ram() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None
