"""What a run asks of its process and of the machine: the device, threads, and sums in one order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch

from benchmarks.allocator import keep_freed_memory


def device_of(accelerator: str) -> torch.device:
    """The device that `trainer.accelerator` names; `auto` takes CUDA where it is, and else the CPU, which has all types."""
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        return torch.device("cuda")
    if accelerator in ("gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def device_random() -> torch.Tensor | None:
    """The state of the generator that draws on the CUDA device in use; None where none is."""
    return torch.cuda.get_rng_state() if torch.cuda.is_initialized() else None


def resume_device_random(state: torch.Tensor | None) -> None:
    """Lets that generator draw on from a state; None, as a training on the CPU leaves it, changes nothing."""
    if state is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state)


def settle(plan: Mapping[str, Any]) -> None:
    """Sets what a run asks of its process before anything is computed; `plan` holds the keys of settings.Trainer."""
    keep_freed_memory()
    if threads := plan["threads"]:
        torch.set_num_threads(threads)
    if (wanted := plan["deterministic"]) != torch.are_deterministic_algorithms_enabled():
        # Without a fixed workspace cuBLAS may add up in another order at each call.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(wanted, warn_only=True)
