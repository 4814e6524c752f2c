"""Settings without the name of their group, as they are said: `shots=16` for `data.shots=16`, `rank=4` for `method.rank=4`."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import registry
from benchmarks.config import CHOICE_GROUPS, compose, expand
from benchmarks.settings import Settings

SECTIONS = ("data", "task", "method", "model", "trainer", "finetune")


def spelled_out(words: Sequence[str]) -> list[str]:
    """The words with the group before every bare key that exactly one group of what was chosen has.

    All others stay as they were typed, so that an unknown or ambiguous key is answered as ever. Of a sweep the first point
    decides; it is the same for all where they share their data set, method and model.
    """
    short = [word for word in words if _is_short(word)]
    if not short:
        return list(words)
    chosen = [word for word in words if word.partition("=")[0] in CHOICE_GROUPS]
    config = compose(expand(chosen)[0])
    found = {word: _sections(config, word.partition("=")[0]) for word in short}
    return [f"{found[word][0]}.{word}" if len(found.get(word, ())) == 1 else word for word in words]


def _is_short(word: str) -> bool:
    """Whether a word sets something that is neither a group, nor a setting of all runs, nor Hydra's."""
    key, equals, _ = word.partition("=")
    return bool(equals) and key.isidentifier() and key not in (*CHOICE_GROUPS, *Settings.__dataclass_fields__, "hydra")


def _sections(config: dict[str, dict[str, object]], key: str) -> list[str]:
    described = registry.HEADER | {"data": frozenset({"id"})}
    return [name for name in SECTIONS if key in config[name] and key not in described.get(name, frozenset()) | {"name"}]
