"""The search space: its types, and reading it from YAML."""
