"""Too good to be true? A leak of the test set looks like progress, so a leap is shown apart from improvements."""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.compare.pairs import Pair, Pairing
from benchmarks.leaderboard.compare.quality import Test, described
from benchmarks.leaderboard.report.rows import Run

TENTH = 0.1
PREDICTIONS, TARGETS = "predictions.npz", "targets.npz"


def too_good(tests: Iterable[Test]) -> Iterator[Finding]:
    """Improvements of a primary metric that no change of code with one configuration should bring.

    Two bounds: the whole width of the base's own 95 % interval, some four standard errors of the test set (significant
    as well, where there are seeds to say so); or an error, the distance to the metric's perfect value, that falls to a tenth
    and leaves that interval.
    """
    for test in tests:
        if not test.main or test.gain is None or test.gain <= 0:
            continue
        found = test.change
        reasons = []
        if found.reach is not None and test.gain > found.reach and test.verdict == "better":
            reasons.append("a leap beyond the width of the base's 95 % interval")
        errors = test.errors
        if errors and errors[1] <= TENTH * errors[0] and test.gain > (found.reach or 0) / 2:
            reasons.append("its error fell to a tenth or less" if errors[1] else "it is perfect")
        if not reasons:
            continue
        if any(_answers_are_targets(test.pair.head.ok[seed]) for seed in test.pair.seeds):
            reasons.append("its predictions are the targets of the test set")
        text = f"{described(test)}: {', '.join(reasons)}. Look for a leak before you enjoy it"
        yield Finding(Level.CHECK, "too good", test.pair.label, text, found.p_holm, weight=4)


def impossible(pairing: Pairing) -> Iterator[Finding]:
    """Values beyond the bounds that their metric declares: an error in the metric or the record, whatever else it says."""
    heads = [*(pair.head for pair in (*pairing.pairs, *pairing.versions)), *pairing.new]
    bases = [*(pair.base for pair in (*pairing.pairs, *pairing.versions)), *pairing.vanished]
    for rows, level, role in ((heads, Level.REGRESSION, ""), (bases, Level.CHECK, "in the base ")):
        for row in rows:
            wrong = {
                (quality.metric, quality.condition): (quality, seed)
                for seed, run in reversed(row.ok.items())
                for quality in run.record.quality
                if quality.impossible
            }
            if wrong:
                text = role + "; ".join(f"{quality.impossible} (seed {seed})" for quality, seed in wrong.values())
                yield Finding(level, "impossible", row.label, text, weight=6)


def new_twins(pairs: Sequence[Pair]) -> Iterator[Finding]:
    """Rows of one data set that give the same predictions bit by bit in the head and did not in the base: two names of
    one method, or a setting that nothing reads any more."""
    before, after = _by_answers(pairs, head=False), _by_answers(pairs, head=True)
    known = {frozenset(pair.label for pair in same) for same in before.values()}
    told = set()
    for same in after.values():
        names = frozenset(pair.label for pair in same)
        if len(names) > 1 and names not in told and not any(names <= each for each in known):
            told.add(names)
            first, *others = sorted(names)
            text = f"the same predictions as {', '.join(others)}, which the base told apart"
            yield Finding(Level.CHECK, "identical predictions", first, text, weight=3)


def _by_answers(pairs: Iterable[Pair], *, head: bool) -> Mapping[tuple[object, ...], list[Pair]]:
    found: dict[tuple[object, ...], list[Pair]] = defaultdict(list)
    for pair in pairs:
        for seed in pair.seeds:
            record = (pair.head if head else pair.base).ok[seed].record
            sha = next((file.sha256 for file in record.files if file.name == PREDICTIONS), None)
            if sha is not None:
                found[(*record.cell, seed, sha)].append(pair)
    return found


def _answers_are_targets(run: Run) -> bool:
    """Whether a prediction of the run equals a target of the same shape; False where either was not kept."""
    if not {PREDICTIONS, TARGETS} <= {file.name for file in run.record.files}:
        return False
    try:
        answers, targets = (_arrays(run, name) for name in (PREDICTIONS, TARGETS))
    except (OSError, ValueError, zipfile.BadZipFile):  # `verify` tells of damaged files
        return False
    return any(
        np.array_equal(answer, target.astype(answer.dtype))
        for answer in answers
        for target in targets
        if answer.shape == target.shape and answer.size > 1 and np.issubdtype(target.dtype, np.number)
    )


def _arrays(run: Run, name: str) -> list[np.ndarray]:
    """The floating-point arrays of predictions, or all of the targets: identifiers agree without any leak."""
    with np.load(io.BytesIO(run.store.read_file(run.record, name)), allow_pickle=False) as arrays:
        loaded = [arrays[key] for key in arrays]
    return [each for each in loaded if name == TARGETS or np.issubdtype(each.dtype, np.floating)]
