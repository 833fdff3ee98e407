"""The report: one HTML file on how good a run is, whether one can trust it, and what was searched.

`medray report RUN` writes report/index.html. It reads the run's files only, and of the test split only what
`medray evaluate` has stored.
"""
