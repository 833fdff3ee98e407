"""Study: the steps of a study, of which each file of this folder has some."""

from medray.study.measuring import MeasuringSteps
from medray.study.predicting import PredictingSteps
from medray.study.training import TrainingSteps


class Study(TrainingSteps, MeasuringSteps, PredictingSteps):
    """A search space, its data and the run's folder that all steps write to.

    Args:
        space: a search space that ships with medray, by its name, or a YAML file, by its path.
        data: the source of the images, where it is not the space's own: `folder:PATH`, `csv:PATH`, `dicom:PATH`,
            `medmnist:NAME`, `phantom`, or an .npz file.
        out: the run's folder, a path or a URI; `runs/NAME` of the space where it is not given.
        runner: "ray" runs trials and folds on Ray, "local" in this process, one after another.
        address: the Ray cluster to join, e.g. "auto"; where it is not given, Ray starts in this process.
        track: trackers that follow the study: "mlflow", "tensorboard" or "wandb", or several of them.
        quiet: print no progress.

    Raises:
        ConfigError: there is no such runner or tracker, a tracker's package is missing, `address` is given to the
            local runner, or, where `out` is not given, there is no such space.

    Example:
        >>> import medray
        >>> study = medray.Study("organs", data="phantom?images=300", out="runs/x", runner="local", quiet=True)
        >>> study.location.endswith("runs/x")
        True
    """
