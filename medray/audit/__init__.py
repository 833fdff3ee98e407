"""A first look at images before any training: what they are (survey, profile), and what is wrong (audit).

`survey` reads every image once; `audit` and `profile` only look at what it kept. `find_leaks` does both for a data
set that is in memory.
"""
