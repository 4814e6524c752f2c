"""A comparison as one HTML page that opens without a server, in the report's style."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import Any

from benchmarks.leaderboard import numbers
from benchmarks.leaderboard.compare.comparison import Comparison
from benchmarks.leaderboard.compare.quality import Test
from benchmarks.leaderboard.compare.sides import Side
from benchmarks.leaderboard.compare.text import RULES
from benchmarks.leaderboard.compare.timing import Timing, timings
from benchmarks.leaderboard.report.site import environment
from benchmarks.leaderboard.statistics.change import LEVEL

GENERATOR = "lowrank-benchmarks compare"


def page(comparison: Comparison) -> str:
    """The page: verdict, findings, the test of every row and of what else moved, every latency. Records are escaped."""
    main = [test for test in comparison.tests if test.main]
    others = [test for test in comparison.tests if not test.main]
    moved = [test for test in others if test.verdict not in ("same", "tie") or (test.change.p or 1.0) <= LEVEL]
    timed = [_timing(pair.label, timing) for pair in comparison.pairing.pairs for timing in timings(pair)]
    return (
        environment()
        .get_template("compare.html")
        .render(
            comparison=comparison,
            sides=[(role, side, _facts(side)) for role, side in (("base", comparison.base), ("head", comparison.head))],
            main_tests=_tests(main),
            other_tests=_tests(moved),
            others=len(others),
            timings=timed,
            rules=RULES,
            generator=GENERATOR,
        )
    )


def _facts(side: Side) -> str:
    """When the runs of a side were made, at which commits, on what."""
    records = [run.record for run in side.runs]
    if not records:
        return ""
    days = sorted({record.created_utc[:10] for record in records})
    commits = sorted({sha[:7] for record in records if (sha := record.provenance.git_sha)})
    machines = sorted({run.hardware[1] for run in side.runs})
    parts = [days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"]
    parts += [f"commit{'s' * (len(commits) != 1)} {', '.join(commits)}"] if commits else []
    return "; ".join([*parts, ", ".join(machines)])


def _tests(tests: Iterable[Test]) -> list[dict[str, Any]]:
    lines = []
    for test in tests:
        found = test.change
        half = found.half_width
        decimals = numbers.column_decimals([found.before, found.after], [half or abs(found.difference)])
        p = found.p if found.p_holm is None else found.p_holm
        interval = ""
        if half is not None:
            ends = [numbers.signed(found.difference + side, decimals) for side in (-half, half)]
            interval = f"{ends[0]} to {ends[1]}"
        lines.append(
            {
                "row": test.pair.label,
                "metric": test.name,
                "figures": [
                    (numbers.fixed(found.before, decimals), found.before),
                    (numbers.fixed(found.after, decimals), found.after),
                    (numbers.signed(found.difference, decimals), found.difference),
                    (numbers.probability(p), p),
                    (str(found.seeds), found.seeds),
                ],
                "interval": interval,
                "verdict": test.verdict,
                "noise": found.noise,
            }
        )
    return lines


def _timing(row: str, timing: Timing) -> dict[str, Any]:
    before, after = median(timing.before), median(timing.after)
    return {
        "row": row,
        "metric": timing.setting.name,
        "figures": [
            (numbers.milliseconds(before), before),
            (numbers.milliseconds(after), after),
            (f"\N{MULTIPLICATION SIGN}{timing.ratio:.2f}", timing.ratio),
            (numbers.probability(timing.p), timing.p),
            (f"{len(timing.before)}, {len(timing.after)}", len(timing.after)),
        ],
        "verdict": timing.verdict,
    }
