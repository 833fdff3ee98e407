"""The service: an ensemble behind HTTP, with its tokens, its audit log and its metrics."""
