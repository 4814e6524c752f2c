"""The leaderboard as pages, exports and Markdown, made of nothing but records."""

from benchmarks.leaderboard.report.site import build

__all__ = ["build"]
