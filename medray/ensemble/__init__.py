"""Ensembles: trained networks whose probabilities are averaged; a folder that can be copied anywhere.

    ensemble/manifest.json            classes, image shape, members, calibration, operating points; written last
    ensemble/members/0007.safetensors

`Ensemble.load(folder).predict(images)` needs neither Ray nor the run that the folder came from.
"""

from medray.ensemble.averaging import average
from medray.ensemble.ensemble import Ensemble
from medray.ensemble.label_set_prediction import LabelSetPrediction
from medray.ensemble.prediction import Prediction

__all__ = ["Ensemble", "LabelSetPrediction", "Prediction", "average"]
