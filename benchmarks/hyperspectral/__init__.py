"""Land cover from spectral images, judged on bands that training has not seen."""
