"""Ask and tell: optuna proposes settings, a run on validation answers, and no database remembers.

What the next trial asks for depends on the trials before it and on their number alone. A search that was cut off, or is
given more trials, therefore asks for the same settings once more, and finds their scores in the store.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.errors import BenchmarkError
from benchmarks.leaderboard.record import canonical_hash

NUMBER = r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?"
SPAN = re.compile(rf"({NUMBER})\.\.({NUMBER})")
DIGITS = 3
"""Significant digits of a proposal: what is written down should be readable, and no score depends on more."""
MANY_TIMES = 10
"""A span from above 0 to so many times as much, or more, is searched by factors, not by differences."""

Space = Mapping[str, "Span | Sequence[str]"]


@dataclass(frozen=True)
class Span:
    """All numbers from `low` to `high`, typed as `1e-5..1e-2`; whole ones where both ends are typed as such."""

    low: float
    high: float
    whole: bool

    @classmethod
    def of(cls, text: str) -> Span | None:
        """The span that a text is, or None; raises BenchmarkError for one that holds nothing."""
        if (found := SPAN.fullmatch(text)) is None:
            return None
        low, high = map(float, found.groups())
        if not low < high:
            raise BenchmarkError(f"'{text}' holds nothing: type the smaller end first, as 1e-5..1e-2.")
        return cls(low, high, all(re.fullmatch(r"[-+]?\d+", end) for end in found.groups()))

    @property
    def log(self) -> bool:
        """Whether it is searched by factors."""
        return self.low > 0 and self.high >= MANY_TIMES * self.low

    def ends(self) -> tuple[str, str]:
        """Both ends, as values are typed."""
        return self.typed(self.low), self.typed(self.high)

    def typed(self, value: float) -> str:
        """A value as it is typed, within the span."""
        if self.whole:
            return str(int(value))
        return repr(min(self.high, max(self.low, float(f"{value:.{DIGITS}g}"))))


def search(space: Space, trials: int, direction: str, seed: int, score: Callable[[dict[str, str]], float]) -> None:
    """Asks for `trials` settings, one after the other, each told the scores of those before it.

    `space` has a span or a list of values for every key; `score` gets the settings as typed, and answers NaN where training
    diverged. `direction` is `max` or `min`. Proposals are those of optuna's TPE sampler, the first ten random.
    """
    optuna = _optuna()
    study = optuna.create_study(direction={"max": "maximize", "min": "minimize"}[direction])
    for number in range(trials):
        study.sampler = optuna.samplers.TPESampler(seed=int(canonical_hash([seed, number])[:8], 16))
        trial = study.ask()
        found = score({key: _suggested(trial, key, values) for key, values in space.items()})
        if math.isnan(found):
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, found)


def _suggested(trial: Any, key: str, values: Span | Sequence[str]) -> str:
    if not isinstance(values, Span):
        return trial.suggest_categorical(key, list(values))
    if values.whole:
        return values.typed(trial.suggest_int(key, int(values.low), int(values.high), log=values.log))
    return values.typed(trial.suggest_float(key, values.low, values.high, log=values.log))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise BenchmarkError(
            f"--search optuna needs the package optuna ({error}). Type: pip install 'lowrank-benchmarks[search]', or give "
            "values in place of a range: finetune.learning_rate=1e-4,1e-3."
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
