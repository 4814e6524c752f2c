"""Hyperspectral restoration: noisy, coarse or incomplete cubes, with a low-rank model and a diffusion prior."""
