"""Networks of hyperspectral imagery: cubes of any number of bands with their wavelengths in, a class for every pixel out."""
