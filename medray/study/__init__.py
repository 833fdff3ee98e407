"""Study: a whole study from Python, step by step; each step is what the command of its name does.

    import medray

    study = medray.Study("organs", data="phantom?images=300", out="runs/x", runner="local")
    study.search(trials=8, max_epochs=6)
    study.crossval(top=3, folds=5)
    study.ensemble(sensitivity=0.95, positive="liver")
    study.predict(images).names
    study.evaluate()                 # reads the test split, once
    study.report()

`runner="local"` trains in this process and never imports Ray; `runner="ray"` starts Ray, or joins the cluster at
`address`. Both leave the same files, so what one began the other may go on with, and so may the command line: a
study is its run's folder.
"""

from medray.study.study import Study

__all__ = ["Study"]
