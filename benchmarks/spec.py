"""RunSpec: exactly one run, frozen and hashed before any heavy import."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks import registry
from benchmarks.config import compose, split_override
from benchmarks.datasets.card import DatasetCard, load_card
from benchmarks.datasets.catalogue import cards, read_card
from benchmarks.datasets.fingerprint import fingerprint
from benchmarks.errors import BenchmarkError, Misfit, nearest
from benchmarks.later import LATER
from benchmarks.leaderboard.record import canonical_hash
from benchmarks.settings import NUMERIC

BASE = "none"
"""The method that makes an uncompressed network, and loads it where `weights=` names one."""
FINETUNED = ("compress", "adapt")
"""Kinds of methods that start from a base and are trained by `finetune`."""
WHERE_KEYS = frozenset({"store", "if_exists", "companions", "report", "profile", "pictures"})


@dataclass(frozen=True)
class RunSpec:
    """One run: what was typed and the configuration that it resolves to.

    `config_hash` covers whatever may change a number (task, model, method, data, scale, training) and neither the seed
    nor where the run is made; `key` adds the seed and the data's fingerprint, and identifies a run in the store.
    """

    overrides: tuple[str, ...]
    config: dict[str, Any]

    @classmethod
    def of(cls, overrides: Sequence[str]) -> RunSpec:
        """Composes and checks a run; raises BenchmarkError before any heavy import."""
        config = compose(overrides)
        if not registry.entry("method", config["method"]["name"]).header("requires"):
            config["model"] = None  # it acts on no network, so the same run is not made once for every model
        typed = {split_override(override)[0] for override in overrides}
        card, task = load_card(config["data"]["id"]), registry.entry("task", config["task"]["name"])
        own = {"data": card.by_task.get(task.name, {}), "task": {}}
        if config["protocol"] == "upstream":
            own = {"data": {**own["data"], **card.upstream}, "task": task.header("upstream", {})}
        for group, options in own.items():
            config[group] |= {key: value for key, value in options.items() if f"{group}.{key}" not in typed}
        spec = cls(tuple(overrides), config)
        if "weights" not in typed and config["weights"] is None and spec.scale != "smoke":
            config["weights"] = spec.own_weights
        if not spec.trains:
            # For the same reason: a floor or a loaded network is one row, however the run beside it was trained.
            written = registry.entry("task", spec.task).settings
            config["task"] |= {key: written[key] for key in registry.entry("task", spec.task).header("training", [])}
        if problem := registry.misfit(spec.task, spec.method, spec.model):
            raise Misfit(problem)
        if not spec.card.task:
            raise Misfit(f"'{spec.card.id}' is no data set but weights of a model. Type weights={spec.card.id}.")
        if spec.task not in spec.card.task:
            raise Misfit(
                f"Data set '{spec.card.id}' is for task {', '.join(spec.card.task)}, not for '{spec.task}'. "
                f"`python -m benchmarks data list` shows the data sets of every task."
            )
        return spec

    task = property(lambda self: self.config["task"]["name"])
    method = property(lambda self: self.config["method"]["name"])
    model = property(lambda self: self.config["model"] and self.config["model"]["name"])
    scale = property(lambda self: self.config["scale"])
    seed = property(lambda self: self.config["seed"])
    protocol = property(lambda self: self.config["protocol"])

    @property
    def kind(self) -> str:
        """compress, adapt, train or solve."""
        return registry.entry("method", self.method).header("kind")

    @property
    def trains(self) -> bool:
        """Whether anything is trained on the task's data: not by what solves without, nor where the base is loaded."""
        return self.kind != "solve" and not (self.method == BASE and self.config["weights"] is not None)

    @property
    def tuned(self) -> bool:
        """Whether the values of its tuned file are those that were searched for it: on this data set, and none typed over."""
        found = self.config["tuned"]
        if found is None or found.get("data", self.card.id) != self.card.id:
            return False
        return not searched(str(found.get("space", ""))) & {split_override(typed)[0] for typed in self.overrides}

    @cached_property
    def card(self) -> DatasetCard:
        """The card of the data set."""
        return load_card(self.config["data"]["id"])

    @cached_property
    def data_options(self) -> dict[str, Any]:
        """The reader's options."""
        return {key: value for key, value in self.config["data"].items() if key != "id"}

    @cached_property
    def data_fingerprint(self) -> str:
        """Which data exactly; known from checksums before a byte is read (see `datasets.fingerprint`)."""
        return fingerprint(self.card, self.data_options)

    def settings(self, group: str) -> dict[str, Any]:
        """The settings of a group (task, method, model) without its descriptive header."""
        section = self.config[group] or {}
        return {key: value for key, value in section.items() if key not in registry.HEADER[group] | {"name"}}

    @cached_property
    def scientific(self) -> dict[str, Any]:
        """The part of the configuration that may change a number."""
        trained = {key: value for key, value in self.config["trainer"].items() if key in NUMERIC}
        checkpoint = {"checkpoint": self.checkpoint_sha256} if self.checkpoint else {}
        parts = {
            "task": {"name": self.task, "version": self.config["task"]["version"], **self.settings("task")},
            "model": {"name": self.model, **self.settings("model"), **checkpoint} if self.model else None,
            "method": {"name": self.method, "version": self.config["method"]["version"], **self.settings("method")},
            "data": self.config["data"],
            "trainer": trained if self.kind != "solve" else None,
            "finetune": self.config["finetune"] if self.kind in FINETUNED else None,
            "shots": self.config["shots"],
            "weights": self.weights_sha256,
            "scale": self.scale,
            "protocol": self.protocol,
        }
        if self._hidden_base is not None:
            parts["base"] = self._hidden_base
        return {name: _as_before(name, part) for name, part in parts.items() if part is not None}

    @property
    def own_weights(self) -> str | None:
        """The card of the weights that a run of this model begins with where it does not say otherwise; None for random ones."""
        return registry.entry("model", self.model).header("weights") if self.model else None

    @cached_property
    def weights_card(self) -> DatasetCard | None:
        """The card whose published weights are asked for: the model's own, those of this run's data set or of another; None for
        a file and for none.

        Raises BenchmarkError where it has none for this model.
        """
        named = self.config["weights"]
        if named != "published" and named not in cards():
            return None
        card = self.card if named == "published" else load_card(named)
        if named == "published" and self.model not in card.published and self.own_weights:
            card = load_card(self.own_weights)
        if self.model not in card.published:
            have = ", ".join(f"weights={card_id}" for card_id in self._with_published_weights())
            raise BenchmarkError(
                f"weights={named}: the card of data set '{card.id}' has no published weights for model '{self.model}' "
                f"(it has: {', '.join(card.published) or 'none'}). Leave weights= out to train, or give "
                + (f"those of another data set ({have}) or " if have else "")
                + "a path to a safetensors file."
            )
        return card

    @cached_property
    def weights_sha256(self) -> str | None:
        """Which weights exactly `weights=` names, None for none; raises BenchmarkError where there are no such weights."""
        named = self.config["weights"]
        if named is None:
            return None
        if card := self.weights_card:
            return card.file(card.published[self.model].file).sha256
        try:
            return hashlib.sha256(Path(named).read_bytes()).hexdigest()
        except OSError as error:
            guess = nearest(named, self._with_published_weights())
            raise BenchmarkError(
                f"weights={named} cannot be read: {error.strerror}. "
                + (f"Did you mean weights={guess}? " if guess else "")
                + "Type weights=published, the id of a data set that has published weights, or the path of a safetensors file."
            ) from error

    @property
    def checkpoint(self) -> Path | None:
        """The file that fresh networks of this model begin with (`model.checkpoint=PATH`); None for random ones."""
        named = self.settings("model").get("checkpoint")
        return Path(named) if isinstance(named, str) else None  # other models have a switch of this name

    @cached_property
    def checkpoint_sha256(self) -> str | None:
        """Which weights exactly those are; raises BenchmarkError where there is no such file, or other weights are asked for."""
        if self.checkpoint is None:
            return None
        if self.config["weights"] is not None:
            raise BenchmarkError(
                f"weights={self.config['weights']} model.checkpoint={self.checkpoint}: a network cannot have both. Training "
                "begins with model.checkpoint=; weights= stand for the trained network. Leave one of them out."
            )
        try:
            return hashlib.sha256(self.checkpoint.read_bytes()).hexdigest()
        except OSError as error:
            raise BenchmarkError(
                f"model.checkpoint={self.checkpoint} cannot be read: {error.strerror}. "
                "Type the path of a .pth or .safetensors file, or leave it out to begin at random."
            ) from error

    def _with_published_weights(self) -> list[str]:
        """Data sets of this task that have published weights for this model."""
        described = {card_id: read_card(card_id) for card_id in cards()}
        return [
            card_id
            for card_id, card in described.items()
            if self.model in card.get("published", {}) and (self.task in card["task"] or not card["task"])
        ]

    @cached_property
    def config_hash(self) -> str:
        """sha256 of the scientific configuration."""
        return canonical_hash(self.scientific)

    @cached_property
    def key(self) -> str:
        """Identifies the run in a store: equal commands have equal keys."""
        return canonical_hash([self.config_hash, self.data_fingerprint, self.seed, *self._trained_elsewhere()])[:24]

    def _trained_elsewhere(self) -> list[str]:
        """Fingerprints of other data than this run's on which its base, or the base of that one, was trained."""
        companions = registry.entry("task", self.task).header("companions", {}).values()
        if not self.uses_network or not any("data=" in str(roles.get("base")) for roles in companions):
            return []
        base = self.base()
        return sorted({base.data_fingerprint, base.base().data_fingerprint} - {self.data_fingerprint})

    @cached_property
    def _hidden_base(self) -> str | None:
        """The configuration of its base, where that has what this run's own does not show: searched values, or a later version
        of its method.

        Where it has not, it follows from what this run says, and older runs keep their hashes.
        """
        base = self.base() if self.uses_network else self
        if all(base.config[name] == part for name, part in self.config.items() if name not in WHERE_KEYS):
            return None
        shown = not base.trains or (base.config["tuned"] is None and base.config["method"]["version"] == 1)
        return base._hidden_base if shown else base.config_hash

    @property
    def uses_network(self) -> bool:
        """Whether the method acts on a network at all."""
        return bool(registry.entry("method", self.method).header("requires"))

    def derive(self, changes: Sequence[str]) -> RunSpec:
        """The run with other choices: a changed group (`model=lr`) drops what was typed for that group. Another choice of the
        method that the run has already keeps its settings.

        `if_exists` is about the run that was typed: a base or companion is taken from the store where it is there; and `shots`
        are of its data, not of others.
        """
        groups = {split_override(change)[0] for change in changes} | {"if_exists"}
        if "data" in groups and "shots" not in groups:
            changes, groups = [*changes, "shots=null"], groups | {"shots"}
        kept = [typed for typed in self.overrides if split_override(typed)[0].split(".")[0] not in groups]
        if f"method={self.method}" in changes:
            kept += [typed for typed in self.overrides if split_override(typed)[0].startswith("method.")]
        return RunSpec.of([*kept, *changes])

    def base(self) -> RunSpec:
        """The run whose network `compress` and `adapt` methods start from, as the task declares it."""
        return self.derive(self._declared().get("base", [f"method={BASE}"]))

    def companions(self) -> dict[str, RunSpec]:
        """The rows that this run's result is shown beside, by role, without the run itself."""
        specs = {role: self.derive(changes) for role, changes in self._declared().items()}
        return {role: spec for role, spec in specs.items() if spec.key != self.key}

    def _declared(self) -> dict[str, list[str]]:
        """The task's companions for this method or, where it names none, this kind of method: by role, what to change in the
        command, where it matters by scale."""
        companions = registry.entry("task", self.task).header("companions", {})
        declared = companions.get(self.method, companions.get(self.kind, {}))
        return {
            role: changes[self.scale] if isinstance(changes, dict) else changes for role, changes in declared.items()
        }


def searched(space: str) -> set[str]:
    """The keys that the words of a search give several values or a range."""
    words = [split_override(word) for word in space.split() if "=" in word]
    return {key for key, values in words if "," in values or ".." in values}


def _as_before(group: str, part: Any) -> Any:
    """A group of settings without the keys that came later, where they have the value that there was before (see LATER)."""
    if not isinstance(part, dict):
        return part
    absent = object()
    return {key: value for key, value in part.items() if LATER.get(f"{group}.{key}", absent) != value}
