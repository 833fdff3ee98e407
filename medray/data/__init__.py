"""Data sets of labelled images: their sources, splits and folds."""
