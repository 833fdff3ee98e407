"""The report: one HTML file on how good a run is, whether one can trust it, and what was searched.

`medray report RUN` writes report/index.html. It reads the run's files, of the test split only what
`medray evaluate` has stored, and of other runs only when they read the same split.
"""
