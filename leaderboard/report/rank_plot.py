"""The rank diagram: for each row the ranks that the tests leave open, so that no order is claimed beyond the data."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup

from benchmarks.leaderboard.report.ranking import Ranking
from benchmarks.leaderboard.report.rows import Row
from benchmarks.leaderboard.report.svg import RIGHT, WIDTH, axis, drawing, shape, style, tag

NAMES = 270
"""Units for the names on the left."""

LETTERS = 36
LINE = 24
HEAD = 30


def rank_plot(found: Ranking, series: Mapping[Row, int]) -> Markup:
    """A line from the best to the worst rank of each row with a mark at its place by value; names lead to the runs.

    `series` numbers the rows as the plots against cost do, so that colours and shapes mean the same.
    """
    count = len(found.rows)
    at_x = axis(1, count, NAMES + 20, WIDTH - RIGHT)
    bottom = HEAD + count * LINE
    parts = [tag("text", "rank", x=NAMES - 8, y=14, class_="tick end")]
    for rank in range(1, count + 1):
        x = f"{at_x(rank):.1f}"
        parts.append(tag("line", x1=x, x2=x, y1=HEAD - 8, y2=bottom, class_="grid"))
        parts.append(tag("text", str(rank), x=x, y=14, class_="tick middle"))
    for index, row in enumerate(found.rows):
        colour, form = style(series[row])
        y = HEAD + (index + 0.5) * LINE
        best, worst = (float(at_x(int(ends[index]))) for ends in (found.ranges.best, found.ranges.worst))
        title = f"{row.name}: rank {index + 1} by value, {found.range_of(index)} by the tests"
        span = tag("line", x1=f"{best:.1f}", x2=f"{worst:.1f}", y1=y, y2=y, class_="rank-range")
        name = row.name if len(row.name) <= LETTERS else row.name[: LETTERS - 1] + "\N{HORIZONTAL ELLIPSIS}"
        text = tag("text", name, x=NAMES - 8, y=y + 4, class_="name end")
        body = Markup("").join([tag("title", title), text, span, shape(form, at_x(index + 1), y, 4.5)])
        link = {"href": f"runs/{row.record.run_id}.html", "class_": f"point front-point series-{colour}"}
        parts.append(tag("a", body, **link, aria_label=title))
    summary = f"Ranks that the tests allow, {count} rows. The matrix holds the same ranges."
    return drawing(parts, summary, height=bottom + 6, kind="plot ranks")
