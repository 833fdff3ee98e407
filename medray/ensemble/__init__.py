"""Ensembles: trained networks whose probabilities are averaged; a folder that can be copied anywhere.

    ensemble/manifest.json            classes, image shape, members, calibration, operating points; written last
    ensemble/members/0007.safetensors

`Ensemble.load(folder).predict(images)` needs neither Ray nor the run that the folder came from.

model.py        Ensemble and what it answers
averaging.py    the weighted mean
candidates.py   what can be a member: trials of the search, or settings with all their folds
choose.py       top-k and greedy selection
ways.py         every way of choosing, side by side
manifest.py     the folder, in and out
driver.py       `medray ensemble RUN`, with command.py and report.py
"""

from medray.ensemble.averaging import average
from medray.ensemble.ensemble import Ensemble, Prediction

__all__ = ["Ensemble", "Prediction", "average"]
