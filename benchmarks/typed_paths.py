"""Paths as they are typed: what a file's name may have, and Hydra's grammar only in quotes."""

from __future__ import annotations

import os
import re

PATHS = ("store", "weights", "model.checkpoint")
"""Settings that name files."""
SIGNS = re.compile(r"^~|[=(){}\[\] ]")
"""What a path may have, and the grammar reads otherwise."""
MEANT = re.compile(r"^['\"]|,|\$\{|^(choice|glob|range|interval|shuffle|sort|tag)\(")
"""What is in quotes already, or means a sweep or another setting."""


def quoted(override: str) -> str:
    """`key=value` as Hydra reads it: `weights=epoch=3.ckpt` is no mistake, and `store=~/results` lies at home."""
    key, _, value = override.partition("=")
    if key.lstrip("+") not in PATHS or not SIGNS.search(value) or MEANT.search(value):
        return override
    escaped = os.path.expanduser(value).replace("'", "\\'")
    return f"{key}='{escaped}'"
