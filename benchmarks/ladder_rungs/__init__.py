"""The rungs of `medray init`'s ladder, measured on several data sets: parts of portfolio.py."""
