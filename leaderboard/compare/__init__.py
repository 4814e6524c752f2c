"""A regression verdict between two sets of runs: what vanished, what costs more, what is worse, what is too good."""

from benchmarks.leaderboard.compare.comparison import Comparison, compare
from benchmarks.leaderboard.compare.sides import Side, open_side

__all__ = ["Comparison", "Side", "compare", "open_side"]
