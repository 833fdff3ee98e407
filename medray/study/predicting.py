"""The steps that ask a study's ensemble."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from medray.study.folder import StudyFolder

if TYPE_CHECKING:
    import pandas as pd

    from medray._types import Array
    from medray.ensemble.ensemble import Ensemble
    from medray.ensemble.prediction import Prediction
    from medray.predict.score_files import ScoredFiles


class PredictingSteps(StudyFolder):
    """The steps that predict images and image files with the ensemble."""

    def load_ensemble(self) -> "Ensemble":
        """Load the study's ensemble, onto the GPU where there is one.

        Raises:
            RunError: there is none, or it is damaged.
            WeightsError: a member's weights are missing or damaged.

        Example:
            >>> study.load_ensemble().class_names[0]
            'bladder'
        """
        from medray.predict.predict_files import open_ensemble

        return open_ensemble(self.location)

    def predict(self, images: "Array", cases: "Array | None" = None) -> "Prediction":
        """Ask the ensemble about images.

        Args:
            images: uint8 (N, H, W, C), of the height, width and channels that the networks were trained on.
            cases: the case of each image, names or numbers (N,): an ensemble of cases gives each one answer.

        Returns:
            Calibrated probabilities float32 (N, classes), the likeliest classes, and what follows from them:
            decisions at operating points and conformal sets. Where images may have several labels, a
            `medray.ensemble.LabelSetPrediction`: the labels that are called, and the sets of each.

        Raises:
            DataError: the images have another shape or type.
            ConfigError: the ensemble was made to answer images, not cases.
            RunError: there is no ensemble, or it is damaged.

        Example:
            >>> import numpy as np
            >>> study.predict(np.zeros((3, 28, 28, 1), dtype=np.uint8)).probabilities.shape
            (3, 11)
        """
        return self.load_ensemble().predict(images, cases)

    def predict_files(self, *paths: str | Path, by: str | None = None) -> "pd.DataFrame":
        """Ask the ensemble about image files, or all those of folders or tables; one row a file, or a case.

        It is what `medray predict` gives. The frame's `attrs["unreadable"]` names the files that could not be read
        and the rows of a table without a file, each with the reason; `attrs["notes"]` say what was guessed.

        Args:
            by: what makes files one case, of an ensemble that answers cases: a column of a table, `folder`, or a
                regular expression that is searched in a file's path. A row then has the case, its number of
                images, and the file that weighed most with its weight.

        Raises:
            ConfigError: `by` can't be read, fits a file not, or the ensemble answers images.
            DataError: a file or folder is not there, or a folder holds no images.
            RunError: there is no ensemble, or it is damaged.
        """
        import pandas as pd

        from medray.predict.run_predict import PredictOptions, run_predict

        predicted = run_predict(PredictOptions(self.location, tuple(map(str, paths)), by=by), self._console())
        columns = [column.name for column in predicted.columns]
        frame = pd.DataFrame(predicted.predictions.rows, columns=columns)
        frame.attrs["unreadable"] = list(predicted.unreadable)
        frame.attrs["notes"] = list(predicted.notes)
        if by is not None:
            frame = frame.astype({"images": int, "weight": float})
        return frame.astype(dict.fromkeys(predicted.manifest.class_names, float))

    def score_files(
        self, *paths: str | Path, labels: str | Path, class_map: Mapping[str, str | None] | None = None
    ) -> "ScoredFiles":
        """Predict image files, or all those of folders or tables, and score them by a table of labels.

        It is what `medray predict --labels` gives: nothing is written into the run, and it is no read of its test
        split, whose images are refused.

        Args:
            labels: the table, a path or `csv:PATH?label=COLUMN`.
            class_map: the ensemble's class by the label, None for one to leave out; labels that it does not name
                are the ensemble's classes.

        Raises:
            ConfigError: a class is not the ensemble's, or some files are of the run's test split.
            DataError: a file is not there, the table can't be read, or no file has one label.
            RunError: there is no ensemble, or it is damaged.
        """
        from medray.evaluate.external.class_map import map_texts
        from medray.predict.run_predict import PredictOptions, run_predict

        options = PredictOptions(
            self.location, tuple(map(str, paths)), labels=str(labels), class_map=map_texts(class_map or {})
        )
        scored = run_predict(options, self._console()).scored
        assert scored is not None  # there are labels
        return scored
