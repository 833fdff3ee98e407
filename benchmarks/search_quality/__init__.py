"""Searches of equal wall time on the same images, cores and weights: medray beside what a user would write."""
