"""The evaluation of a run on its test split: scores with intervals, paired comparisons, subgroups."""
