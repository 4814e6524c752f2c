"""What a run stored for paired statistics: the bootstrap replicates of a metric, from `replicates.npz`."""

from __future__ import annotations

import io
import zipfile

import numpy as np

from benchmarks.leaderboard.record import Quality, Record, UnreadableRecord
from benchmarks.leaderboard.statistics.paired import RunScore
from benchmarks.leaderboard.store import Store

REPLICATES = "replicates.npz"


def replicates_name(metric: str, condition: str | None) -> str:
    """The name under which the replicates of a metric, over all conditions or under one, are kept."""
    return metric if condition is None else f"{metric}|{condition}"


def run_score(store: Store, record: Record, quality: Quality | None) -> RunScore | None:
    """The value and replicates of a metric in a run; None where the metric is undefined or there are no replicates.

    The file holds one float32 array [B] a metric and condition (`replicates_name`), `digest` (which resamples) and
    `n_units`; without it samples count, which matters only for the degrees of freedom of very small p values. A damaged
    file is an UnreadableRecord.
    """
    if quality is None or quality.value is None or all(file.name != REPLICATES for file in record.files):
        return None
    try:
        with np.load(io.BytesIO(store.read_file(record, REPLICATES)), allow_pickle=False) as arrays:
            name = replicates_name(quality.metric, quality.condition)
            if name not in arrays:
                return None
            n_units = int(arrays["n_units"]) if "n_units" in arrays else quality.n or 2
            replicates = arrays[name].astype(np.float64)
            return RunScore(quality.value, replicates, str(arrays["digest"]), n_units)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        where = store.place.where(record.task, record.run_id, REPLICATES)
        raise UnreadableRecord(f"{where}: {error}") from error
