"""Simulated studies that check what medray promises, one file for each family of promises."""
