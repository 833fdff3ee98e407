"""Look at images before any training: what they are (survey, profile), and what is wrong with them (audit).

A survey reads every image once; audits and profiles are pure functions of it. `find_leaks` looks for leaks only,
in a data set that is in memory.
"""
