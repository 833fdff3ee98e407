"""Another hospital's images: the ensemble as it is, measured on them and set beside the run's own test split."""
