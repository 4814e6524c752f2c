"""Where tiles of an image begin that is larger than one."""

from __future__ import annotations


def tile_starts(size: int, side: int, step: int) -> list[int]:
    """Along an axis of `size` pixels: `step` apart, the last one at the end; one tile where all fits into it."""
    return [*range(0, max(0, size - side), step), max(0, size - side)]
