"""Networks and solvers of hyperspectral restoration."""
