"""The honest reading of the test split: scores with intervals, paired comparisons, subgroups."""
