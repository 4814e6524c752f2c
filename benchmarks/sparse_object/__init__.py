"""Sparse object segmentation: infrared small targets, vessels, defects."""
