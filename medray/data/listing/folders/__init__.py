"""Folders as people have them: which of them are splits, folds, classes, patients, and which can't be read."""
