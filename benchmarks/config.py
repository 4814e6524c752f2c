"""From what was typed to one resolved configuration: Hydra composition, with errors that name the nearest key."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from benchmarks import registry
from benchmarks.datasets.card import cards, load_card
from benchmarks.errors import BenchmarkError, nearest, unknown
from benchmarks.settings import RANGES, Finetune, Settings, Trainer
from benchmarks.typed_paths import quoted

MODULE = "benchmarks.conf"
FOLDER_GROUPS = ("trainer", "scale", "tuned", "experiment")
CHOICE_GROUPS = (*registry.GROUPS, "data", *FOLDER_GROUPS)
OFF = ("experiment=null", "tuned=null")
"""Groups that can be switched off, which Hydra spells otherwise."""
CUT_UP = ("fsdp_", "deepspeed", "model_parallel")
"""Lightning's further strategies that give each device a part of the network."""
SHARDED = {
    "tables": ("dense", "rows of a table that is cut up are not trained by themselves"),
    "precision": ("32-true bf16-mixed", "gradients that are cut up are not scaled"),
    "compile": ("false", "a network is compiled as a whole, and gathered in parts"),
    "accelerator": ("auto cpu gpu cuda", "networks are cut up under NCCL and gloo alone"),
}
"""What keys of the trainer may be with strategy=fsdp, and why nothing else."""
SWEEP = re.compile(r",|\b(choice|range|glob|interval)\(")


_REGISTERED: list[object] = []


def register() -> None:
    """Puts into Hydra what is not a file in conf/: the typed keys, the cards, the defaults of tasks, third-party methods.

    Once, until what is registered was looked for anew.
    """
    found = [cards(), *map(registry.entries, registry.GROUPS)]
    if len(found) == len(_REGISTERED) and all(new is old for new, old in zip(found, _REGISTERED, strict=True)):
        return
    _composed.cache_clear()
    _REGISTERED[:] = found
    store = ConfigStore.instance()
    store.store(name="shared_keys", node=Settings)
    for card_id in cards():
        store.store(group="data", name=card_id, node={"id": card_id, **load_card(card_id).options})
    for task in registry.entries("task").values():
        models = task.header("models")
        for scale, card_id in task.header("data", {}).items():
            _default(store, "data", f"{task.name}_{scale}", card_id)
            _default(store, "model", f"{task.name}_{scale}", models[scale] if isinstance(models, dict) else models)
    for method in registry.entries("method").values():
        if lighter := method.header("smoke"):
            store.store(group="method/default", name=f"{method.name}_smoke", node=lighter, package="method")
    for group in registry.GROUPS:
        for entry in registry.entries(group).values():
            if not entry.builtin:
                store.store(group=group, name=entry.name, node=entry.settings)
                if group == "task":
                    store.store(
                        group="trainer",
                        name=entry.name,
                        node={"trainer": entry.header("trainer", {})},
                        package="_global_",
                    )


def _default(store: ConfigStore, group: str, name: str, choice: str) -> None:
    """What a group holds where nothing is typed; apart from its choices, so that `glob(*)` names these alone."""
    node = {"defaults": [f"/{group}/{choice}@_here_"]}
    store.store(group=f"{group}/default", name=name, node=node, package=group)


def compose(overrides: Sequence[str]) -> dict[str, Any]:
    """The resolved configuration of one run as plain data; raises BenchmarkError for whatever was mistyped."""
    register()
    return deepcopy(_composed(tuple(overrides)))


def forget() -> None:
    """Composes anew from here on, after a file in conf/ was written."""
    _composed.cache_clear()


@lru_cache(maxsize=2048)
def _composed(overrides: tuple[str, ...]) -> dict[str, Any]:
    """The same for a caller who leaves it as it is. Composing takes a tenth of a second, and runs of a sweep share a base."""
    _check_choices(overrides)
    backup = GlobalHydra.instance().hydra
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module(MODULE, version_base="1.3"):
            composed = hydra_compose("config", _as_hydra_spells(overrides))
            resolved = OmegaConf.to_container(composed, resolve=True, enum_to_str=True)
    except (HydraException, OmegaConfBaseException, OSError) as error:
        raise _explain(error, overrides) from None
    finally:
        if backup is not None:
            GlobalHydra.instance().hydra = backup
    assert isinstance(resolved, dict)
    config: dict[str, Any] = {str(section): value for section, value in resolved.items()}
    _check_keys(config)
    _check_values(config)
    return config


def choices(group: str) -> list[str]:
    """The valid names of a configuration group."""
    if group == "data":
        return sorted(cards())
    if group in registry.GROUPS:
        return sorted(registry.entries(group))
    return sorted(path.stem for path in (registry.CONF / group).glob("*.yaml"))


def split_override(override: str) -> tuple[str, str]:
    """Key and value of `key=value`, without the prefix +; raises BenchmarkError for anything else."""
    key, equals, value = override.partition("=")
    if override.startswith("~"):
        key = key.lstrip("~")
        raise BenchmarkError(
            f"'{override}': a key cannot be removed. To switch off what may be switched off, type {key}=null."
        )
    if not equals or not key.strip("+"):
        raise BenchmarkError(
            f"'{override}' is not of the form key=value. For example: python -m benchmarks task=ctr method=svd seed=1"
        )
    return key.lstrip("+"), value


def _as_hydra_spells(overrides: Iterable[str]) -> list[str]:
    """The tuned file is on unless removed; an experiment is off unless chosen, and Hydra cannot remove what is not there."""
    return [
        "~tuned" if override == "tuned=null" else quoted(override)
        for override in overrides
        if override != "experiment=null"
    ]


def _check_choices(overrides: Iterable[str]) -> None:
    """Refuses names that no group has, and settings that only a choice can make (`method.name=afm`)."""
    for override in overrides:
        key, value = split_override(override)
        group, _, name = key.partition(".")
        if key == "trainer.strategy" and value.startswith(CUT_UP):
            raise BenchmarkError(
                f"'{override}': there is one way to cut a network up over devices. Type trainer.strategy=fsdp, or "
                "trainer.strategy=ddp for a whole network on each."
            )
        if key in CHOICE_GROUPS and override not in OFF and value not in choices(key):
            if SWEEP.search(value):
                raise _sweep(override)
            if key == "method" and value in registry.entries("model"):
                raise BenchmarkError(
                    f"'{override}': {value} is a model, which methods act on. Type method=none model={value} for the model "
                    "as it is."
                )
            if key == "model" and value in registry.entries("method"):
                raise BenchmarkError(f"'{override}': {value} is a method. Type method={value}.")
            where = "`python -m benchmarks list` shows what fits together." if key not in FOLDER_GROUPS else ""
            raise unknown("data set" if key == "data" else key, value, choices(key), remedy=where)
        if group in (*registry.GROUPS, "data") and name in _header(group):
            raise BenchmarkError(
                f"'{override}': {key} describes the {group} and is no setting. Choose another one with {group}=NAME."
            )


def _sweep(override: str) -> BenchmarkError:
    return BenchmarkError(
        f"'{override}' names several values, which is a sweep. Type: python -m benchmarks -m {override} ..."
    )


def _check_keys(config: dict[str, Any]) -> None:
    """Refuses keys added with `+` that nothing reads."""
    for section, typed in (("", Settings), ("trainer.", Trainer), ("finetune.", Finetune)):
        known = typed.__dataclass_fields__
        given = config[section.rstrip(".")] if section else config
        if unread := given.keys() - known.keys():
            raise unknown("key", f"{section}{min(unread)}", [f"{section}{key}" for key in known])
    for group in (*registry.GROUPS, "data"):
        chosen = config[group]["id" if group == "data" else "name"]
        settings = _settings_of(group, chosen)
        if unread := config[group].keys() - settings.keys() - _header(group):
            keys, remedy = [f"{group}.{key}" for key in settings], f"These are the keys of {group}={chosen}."
            raise unknown("key", f"{group}.{min(unread)}", keys, remedy=remedy)


def _check_values(config: dict[str, Any]) -> None:
    """Refuses numbers out of range or not finite, and settings of a task or model of another type than their defaults."""
    for key, value in _leaves(config):
        if isinstance(value, float) and not math.isfinite(value):
            raise BenchmarkError(f"'{key}={value}' is not valid: it must be a finite number.")
        if key in RANGES and value is not None and value not in RANGES[key]:
            raise BenchmarkError(f"'{key}={value}' is not valid: it must be {RANGES[key]}.")
    if config["trainer"]["strategy"] == "fsdp":
        for key, (allowed, reason) in SHARDED.items():
            given = str(config["trainer"][key]).replace("False", "false").replace("True", "true")
            if given not in allowed.split():
                raise BenchmarkError(
                    f"'trainer.{key}={given}' does not go with trainer.strategy=fsdp: {reason}. Type trainer.{key}="
                    f"{allowed.replace(' ', '|')} or trainer.strategy=ddp."
                )
    if not config["store"]:
        raise BenchmarkError("'store=' names no folder. Type for example store=results.")
    for group in ("task", "model"):
        for key, default in _settings_of(group, config[group]["name"]).items():
            value = config[group][key]
            shown = f"{group}.{key}={str(default).replace(' ', '').replace(chr(39), '')}"
            if not _alike(value, default):
                raise BenchmarkError(
                    f"'{group}.{key}={value}' is not valid: it must be of the kind of its default, {shown}."
                )
            if _is_size(default) and not _is_size(value):
                raise BenchmarkError(
                    f"'{group}.{key}={value}' is not valid: sizes are 1 or more. Type for example {shown}."
                )


def _leaves(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in section.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _alike(value: Any, default: Any) -> bool:
    if default is None:
        return True
    if isinstance(default, list):
        return isinstance(value, list) and all(_alike(item, default[0]) for item in value if default)
    if isinstance(default, float):
        return type(value) in (int, float)
    return type(value) is type(default)


def _is_size(value: Any) -> bool:
    """Whether it is a whole number of 1 or more, or a list of such."""
    if isinstance(value, list):
        return all(_is_size(item) for item in value)
    return type(value) is int and value >= 1


def _explain(error: Exception, overrides: Sequence[str]) -> BenchmarkError:
    """Hydra's message as ours: the key as typed, what is wrong with it, the nearest valid key."""
    text = "\n".join(str(link) for link in _chain(error))
    typed = dict(map(split_override, overrides))
    if match := re.search(r"Key '[^']+' is not in struct\s+full_key: (?P<full>\S+)", text):
        return _unknown_key(match["full"], overrides)
    if (match := re.search(r"Could not override '(?P<full>[^']+)'", text)) and (
        "full_key" not in text or "Key '" in text
    ):
        return _unknown_key(match["full"], overrides)
    if match := re.search(r"field '(?P<full>[^']+)' is not Optional", text):
        return BenchmarkError(f"'{match['full']}={typed.get(match['full'])}' is not valid: it may not be null.")
    if match := re.search(
        r"(?P<what>(Value '|Invalid value |Cannot convert '|Unsupported ).*)\s+full_key: (?P<full>\S+)", text
    ):
        key = match["full"].partition("[")[0]
        shown = f"{key}={typed[key]}" if key in typed else key
        return BenchmarkError(f"'{shown}' is not valid: {match['what'].strip().rstrip('.')}.")
    if match := re.search(r"Ambiguous value for argument '(?P<override>[^']+)'", text):
        return _sweep(match["override"])
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    shown = " ".join(overrides)
    return BenchmarkError(
        f"No run could be composed from '{shown}': {first.rstrip('.')}. `python -m benchmarks --help` shows examples."
    )


def _chain(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unknown_key(full: str, overrides: Sequence[str]) -> BenchmarkError:
    """The error for a key that the chosen task, method, model and data set do not have, with the keys of its section."""
    chosen = [override for override in overrides if split_override(override)[0] in CHOICE_GROUPS]
    with initialize_config_module(MODULE, version_base="1.3"):
        config = OmegaConf.to_container(hydra_compose("config", _as_hydra_spells(chosen)))
    assert isinstance(config, dict)
    section, dot, _ = full.partition(".")
    section = nearest(section, [str(key) for key, value in config.items() if isinstance(value, dict)]) or ""
    if not dot or not section:
        return unknown("key", full, [str(key) for key in config], remedy="Settings are typed as key=value.")
    keys = [f"{section}.{key}" for key in config[section] if key not in _header(section)]
    name = config[section].get("name") or config[section].get("id")
    return unknown("key", full, keys, remedy=f"These are the keys of {section}{f'={name}' if name else ''}.")


def _header(group: str) -> frozenset[str]:
    """The keys of a section that name or describe it."""
    return registry.HEADER.get(group, frozenset()) | {"name", "id"}


def _settings_of(group: str, name: str) -> dict[str, Any]:
    """The settings of a task, method, model or data set with their defaults."""
    if group == "data":
        return dict(load_card(name).options)
    return {key: value for key, value in registry.entry(group, name).settings.items() if key not in _header(group)}


def expand(overrides: Sequence[str]) -> list[list[str]]:
    """All points of a sweep, in the order in which Hydra's basic sweeper runs them."""
    register()
    try:
        parsed = OverridesParser.create(config_loader=_loader()).parse_overrides([*map(quoted, overrides)])
    except HydraException as error:
        raise _explain(error, overrides) from None
    points: list[list[str]] = [[]]
    for override in parsed:
        if override.is_sweep_override():
            values = list(override.sweep_string_iterator())
            points = [[*point, f"{override.get_key_element()}={value}"] for point in points for value in values]
        else:
            points = [[*point, override.input_line or ""] for point in points]
    return points


def _loader() -> ConfigLoader:
    """Hydra's loader over our groups, which `glob(*)` needs in order to know their names."""
    with initialize_config_module(MODULE, version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        return hydra.config_loader
