"""What stands between probabilities and an answer: calibration, thresholds, sets of classes."""
