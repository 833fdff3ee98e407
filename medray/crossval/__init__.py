"""The cross-validation: `medray crossval RUN`.

command.py   the command line
driver.py    from the options to the results
plan.py     what is to be done
jobs.py      which settings on which folds are left, and who does what
trainer.py   Ray Train: as many workers as there is room for, each taking one fold after another
collect.py  what the folds say when they are put together
progress.py  what a person sees while it runs
report.py    the tables at the end
"""
