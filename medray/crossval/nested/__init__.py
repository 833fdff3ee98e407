"""Nested cross-validation: the whole search runs again inside each outer fold, which measures the procedure."""
