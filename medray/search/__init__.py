"""`medray search`: Optuna draws trials, ASHA stops those that fall behind, Ray Tune or this process runs them.

The ledger keeps the state of all trials; Tune's adapters and the local runner only ask it and report to it.
"""
