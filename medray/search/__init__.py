"""`medray search`: Ray Tune + Optuna + ASHA find, rank and keep the best models.

command.py    the command line
driver.py     a search from its options to its ensemble
ledger.py     what is known of every trial: the study, the trials' folders, what is still to be done
study.py      the Optuna study on disk
tuning.py     Tune's searcher and scheduler, both thin: they ask the ledger
trial.py      what a worker process does: fit(), and files after every epoch
cluster.py    starting or joining Ray, and what it has
progress.py   what a person sees
"""
