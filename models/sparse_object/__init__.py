"""Networks and solvers that part an image into a low-rank background and sparse objects."""
