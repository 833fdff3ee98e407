"""The report: one HTML file that says how good a run is, whether one can trust it, and what was searched.

`medray report RUN` writes report/index.html. It reads the run's files only; of the test split it knows what
`medray evaluate` has stored.
"""
