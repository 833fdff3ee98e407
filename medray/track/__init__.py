"""Trackers that people have (MLflow, TensorBoard, Weights & Biases) follow a run's files, which hold all facts.

A thread of the driver reads what is new and sends it: training knows nothing of it, and a tracker that fails costs
one line. What a tracker has already is read from MLflow, or from files in the run, so a run that goes on is no
second one there.
"""
