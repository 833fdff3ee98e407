"""What a person would use in place of `medray serve`: parts of serving.py."""
