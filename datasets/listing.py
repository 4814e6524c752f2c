"""Lists of many files that lie at one place upstream: a line a file beside the card, which stays readable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmarks.errors import BenchmarkError

PLACE = "{path}"
FLAT = "{flat}"


def listed(card: Path, listings: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """The files that a card's `listings` stand for, as it would name them one by one.

    A listing is `{file, url}`: a text file beside the card with lines `sha256 bytes path`, and the address of all of them
    with `{path}` in it; `how` in place of an address tells how to get them by hand. `mirror` is where a mirror keeps them that
    sorts by origin, with `{path}` or, where it has no folders, `{flat}`; `folder` is one of the data set's own to keep them in.
    Raises BenchmarkError for another form.
    """
    return [entry for listing in listings for entry in _entries(card, listing)]


def _entries(card: Path, listing: Mapping[str, str]) -> Iterable[dict[str, Any]]:
    if unknown := listing.keys() - {"file", "url", "how", "mirror", "folder"}:
        raise BenchmarkError(
            f"The card {card} cannot be used: a listing has file, url, how, mirror and folder, not {sorted(unknown)}."
        )
    path, url = card.parent / listing.get("file", ""), listing.get("url", "")
    if url and PLACE not in url:
        raise BenchmarkError(f"The card {card} cannot be used: the url of {path.name} must hold {PLACE}.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise BenchmarkError(f"The card {card} cannot be used: its listing {path} cannot be read ({error}).") from error
    for number, line in enumerate(lines, start=1):
        parts = line.split(maxsplit=2)
        if len(parts) != 3 or not parts[1].isdigit():
            raise BenchmarkError(f"{path}, line {number}: '{line}' is not of the form 'sha256 bytes path'.")
        sha256, size, name = parts
        source = {"urls": [url.replace(PLACE, quote(name))]} if url else {}
        mirror = listing.get("mirror", "").replace(PLACE, name).replace(FLAT, name.replace("/", "_"))
        own = f"{listing['folder']}/{name}" if "folder" in listing else name
        yield {
            "path": own, "sha256": sha256, "bytes": int(size), "how": listing.get("how", ""), "mirror": mirror, **source
        }  # fmt: skip
