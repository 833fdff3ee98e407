"""Decoded arrays and file hashes, kept by content."""
