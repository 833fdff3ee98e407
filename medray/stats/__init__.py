"""Statistics of predictions: pure functions of probabilities and labels."""
