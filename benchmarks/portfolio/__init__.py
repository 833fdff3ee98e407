"""Measures the rungs of `medray init`'s ladder on several data sets; see __main__."""
