"""What to cite: the suite, the data sets, methods and models of the report, and the sources of reported figures."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.leaderboard.report.facts import Facts
from benchmarks.leaderboard.report.sections import Section

SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "#$%&_"},
}  # fmt: skip


def citations(sections: Iterable[Section], facts: Facts) -> str:
    """BibTeX entries for all that the sections used.

    Cards and method files hold their citation as a sentence, which becomes the note of an entry: cutting it into authors
    and years by rule would put wrong ones into somebody's bibliography.
    """
    sections = list(sections)
    suite = {"title": "Low-rank benchmarks: low-rank methods in real applications", "version": facts.version}
    suite["author"] = "{The low-rank benchmarks maintainers}"
    entries = [_entry("software", "lowrank-benchmarks", suite, plain=("author",))]
    datasets = dict.fromkeys(section.first.dataset for section in sections)
    entries += [_of_card(name, facts.card(name)) for name in datasets if facts.card(name)]
    rows = [row for section in sections for row in section.rows]
    for kind, known, names in (
        ("method", facts.methods, dict.fromkeys(row.method for row in rows)),
        ("model", facts.models, dict.fromkeys(row.model for row in rows if row.model)),
    ):
        entries += [_of_source(kind, name, known[name]) for name in sorted(names) if known.get(name, {}).get("source")]
    sources = dict.fromkeys(row.source for section in sections for row in section.reported)
    for index, source in enumerate(sources, 1):
        fields = {"title": source.title, "note": f"Reported figures: {source.table}", "url": source.url}
        entries.append(_entry("misc", f"reported-{index}", fields))
    return "\n".join(entries)


def _of_card(name: str, card: Mapping[str, Any]) -> str:
    fields = {"title": card.get("title", name), "note": card.get("citation", ""), "url": card.get("homepage", "")}
    return _entry("misc", f"data-{name}", fields)


def _of_source(kind: str, name: str, settings: Mapping[str, Any]) -> str:
    return _entry("misc", f"{kind}-{name}", {"title": settings.get("summary", name), "note": settings["source"]})


def _entry(kind: str, key: str, fields: Mapping[str, object], plain: tuple[str, ...] = ()) -> str:
    lines = [f"@{kind}{{{re.sub(r'[^A-Za-z0-9_.:-]', '-', key)},"]
    for name, value in fields.items():
        text = str(value) if name in plain else _escaped(name, str(value))
        if text:
            lines.append(f"  {name} = {{{text}}},")
    return "\n".join([*lines, "}"]) + "\n"


def _escaped(name: str, text: str) -> str:
    text = " ".join(text.split())
    if name == "url":
        return re.sub(r"[{}\\]", "", text)
    return "".join(SPECIAL.get(sign, sign) for sign in text)
