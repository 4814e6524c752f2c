"""What the numbers of a table can and cannot tell: intervals, paired tests, ranks and Pareto fronts."""
