"""A comparison in words: a few lines for a terminal, and Markdown for a comment in continuous integration."""

from __future__ import annotations

from benchmarks.leaderboard.compare.comparison import Comparison
from benchmarks.leaderboard.compare.finding import Finding, Level
from benchmarks.leaderboard.report.markdown import escaped

LINES = 30
"""Findings shown of those that matter; notes are counted, and stand on the page. A few where nothing was comparable."""

COMMENT = 60_000
"""Characters of a Markdown summary: GitHub refuses a comment above 65,536."""

RULES = (
    "Quality: paired difference over common seeds, noise of training and test set, Holm's correction, 5 %. "
    "Counted costs: any increase. Latency: p < 0.002 and more than x1.10, on one machine, of blocks that both sides timed in "
    "turns where there are any. Peak memory: more than x1.02."
)


def console(comparison: Comparison) -> str:
    """The verdict first, then what led to it, worst first."""
    lines = [comparison.verdict, f"{comparison.base.description} -> {comparison.head.description}: {comparison.scope}"]
    shown = [found for found in comparison.findings if found.level is not Level.NOTE]
    width = max((len(found.level.word) for found in shown), default=0)
    most = LINES if comparison.comparable else 5
    lines += [f"  {found.level.word:<{width}}  {sentence(found)}" for found in shown[:most]]
    if len(shown) > most:
        lines.append(f"  ... and {len(shown) - most} more; --html FILE shows all of them")
    lines += [f"  {text}" for text in _notes(comparison)]
    return "\n".join(lines)


def markdown(comparison: Comparison) -> str:
    """A heading with the verdict, a table a level, the notes folded away, and the rules."""
    parts = [
        f"### {escaped(comparison.verdict)}",
        f"{escaped(comparison.base.description)} → {escaped(comparison.head.description)}: {escaped(comparison.scope)}.",
    ]
    for level in (Level.REGRESSION, Level.CHECK, Level.INCOMPARABLE, Level.BETTER):
        if found := [finding for finding in comparison.findings if finding.level is level]:
            parts.append(f"**{level.word.capitalize()}**\n\n{_table(found)}")
    if notes := [finding for finding in comparison.findings if finding.level is Level.NOTE]:
        parts.append(f"<details><summary>{len(notes)} notes</summary>\n\n{_table(notes)}\n\n</details>")
    text = "\n\n".join([*parts, f"<sub>{RULES}</sub>"]) + "\n"
    if len(text) <= COMMENT:
        return text
    cut = text[:COMMENT].rsplit("\n", 1)[0]
    return f"{cut}\n\nCut here: {len(comparison.findings)} findings are too many for one comment; see the page of --html.\n"


def sentence(found: Finding) -> str:
    """A finding on one line."""
    return " ".join(f"{found.row}: {found.kind}: {found.text}".removeprefix(": ").split())


def _notes(comparison: Comparison) -> list[str]:
    notes = [found for found in comparison.findings if found.level is Level.NOTE]
    told = [f"note  {sentence(found)}" for found in notes if not found.row]
    counts: dict[str, int] = {}
    for found in notes:
        if found.row:
            counts[found.kind] = counts.get(found.kind, 0) + 1
    if counts:
        listed = ", ".join(f"{count} x {kind}" for kind, count in sorted(counts.items()))
        told.append(f"note  {listed} (listed by --html and --markdown)")
    return told


def _table(findings: list[Finding]) -> str:
    lines = ["| row | what | finding |", "| --- | --- | --- |"]
    lines += [f"| {escaped(found.row)} | {escaped(found.kind)} | {escaped(found.text)} |" for found in findings]
    return "\n".join(lines)
