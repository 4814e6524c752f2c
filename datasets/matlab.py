"""Variables of MATLAB files, for readers of data sets that come as such."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from benchmarks.errors import BenchmarkError

NEWER = b"MATLAB 7.3"
"""How a file of version 7.3 begins, which is of another kind (HDF5)."""


def read_mat(source: Path | bytes, where: str = "") -> dict[str, Any]:
    """All variables of a file of version 7 or earlier, by name; `source` is its path or what it holds.

    Raises BenchmarkError, which calls the file `where`, for one of version 7.3 and for what is no such file.
    """
    from scipy.io import loadmat

    called = where or str(source)
    try:
        held = source.read_bytes() if isinstance(source, Path) else source
        if held.startswith(NEWER):
            raise BenchmarkError(
                f"{called} is a MATLAB file of version 7.3. Save it as version 7: in MATLAB, save(name, '-v7')."
            )
        return loadmat(io.BytesIO(held))
    except (BenchmarkError, MemoryError):
        raise
    except Exception as error:  # whatever the reader runs into in a damaged file
        raise BenchmarkError(f"{called} cannot be read as a MATLAB file: {error}.") from error
