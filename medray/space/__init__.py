"""The search space: its model, and reading it from YAML."""
