"""Networks by their short names, and parameters by those that a network calls always trained."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from benchmarks import errors


def named(
    name: str, known: Mapping[str, type[nn.Module]], offered: Iterable[str], options: Mapping[str, Any], *given: Any
) -> nn.Module:
    """A fresh network of the class that `name` stands for; `given` are its first arguments, which are no options.

    A name that is not `known`, or an option that its class does not take, raises BenchmarkError with the nearest one. Of the
    names only those `offered` are suggested.
    """
    if name not in known:
        raise errors.unknown("model", name, offered)
    allowed = list(inspect.signature(known[name]).parameters)[len(given) :]
    for option in options:
        if option not in allowed:
            raise errors.unknown(f"option of model {name}", option, allowed)
    return known[name](*given, **options)


def always_trained(network: nn.Module) -> list[nn.Parameter]:
    """What a network names in `always_trained`, patterns of its parameters' names: a head, a prompt; mostly none."""
    patterns = getattr(network, "always_trained", ())
    return [
        parameter
        for name, parameter in network.named_parameters()
        if any(fnmatchcase(name, pattern) for pattern in patterns)
    ]
