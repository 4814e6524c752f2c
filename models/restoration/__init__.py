"""Networks of image restoration."""
