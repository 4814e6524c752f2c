"""Networks of the task hyperspectral: windows of any number of bands and their wavelengths to class logits."""
