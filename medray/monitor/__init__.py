"""What becomes of a model in use: its answers by day, and how good they were once outcomes are known."""
