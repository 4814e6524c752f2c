"""Networks by their short names, with their constructor's arguments as options."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
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
