"""The images that a report shows: small PNGs inside the page, never of the test split."""

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medray._types import Array, Progress, silent
from medray.analyze.open_runs import RunSnapshot
from medray.data.dataset import ImageDataset
from medray.errors import DataError, MedrayError, RunError, one_line
from medray.pictures.contact_sheet import fitted
from medray.report.blocks import Picture
from medray.report.model_predictions import ModelPredictions
from medray.runs.finished_search import FinishedSearch
from medray.space.published import TEST
from medray.stats.label_set_predictions import LabelSetPredictions

MAX_PICTURES = 24
SIDE = 160  # pixels of the longer side; smaller images are enlarged by the page
LEFT_OUT = "--no-images left them out"
WITH, WITHOUT = "with", "without"  # a label

Captions = list[tuple[int, list[str]]]  # position of an image in the data set, and the lines of its caption


@dataclass(frozen=True)
class Album:
    """The run's images, or the reason `why_not`."""

    dataset: ImageDataset | None
    why_not: str | None = None

    def pictures(self, captions: Captions) -> list[Picture]:
        """Return the images at these positions in the data set with their captions.

        Raises:
            RunError: one of them is of the test split, or there is no such image.
        """
        assert self.dataset is not None
        positions = [position for position, _ in captions]
        if np.isin(positions, self.dataset.splits.get(TEST, np.empty(0))).any():
            raise RunError("images of the test split are among those to be shown: nothing here may show them")
        if any(not 0 <= position < len(self.dataset) for position in positions):
            raise RunError(f"an image to be shown is none of the {len(self.dataset)} of {self.dataset.source}")
        return [Picture(_data_uri(self.dataset.images[position]), lines) for position, lines in captions]


def open_album(snapshot: RunSnapshot, source: str | None, progress: Progress = silent) -> Album:
    """Load the run's images, from `source` where they have moved; an error is the album's `why_not`.

    Raises:
        MedrayError: `source` is given, but its images can't be used.
    """
    run = snapshot.run
    try:
        if snapshot.space is None:
            raise RunError("the run's search space can't be read")
        search = FinishedSearch(run, snapshot.space, snapshot.facts.options, run.read_data(), snapshot.records)
        return Album(search.load_data(source, progress))
    except (MedrayError, OSError) as error:
        if source is not None:
            raise error if isinstance(error, MedrayError) else DataError(f"{source}: {error}") from error
        return Album(None, one_line(error))


def _data_uri(image: Array) -> str:
    longest = max(image.shape[:2])
    picture = fitted(image, SIDE if longest > SIDE else longest)
    pixels = Image.frombytes(picture.mode, picture.size, picture.tobytes())  # without metadata
    stream = io.BytesIO()
    pixels.save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def worst_mistakes(predictions: ModelPredictions, classes: Sequence[str]) -> Captions:
    """Return the misclassified images with the least probable true class, at most `MAX_PICTURES`.

    Where images may have several labels, these are the wrong answers of the least credible ones: an image stands
    there once for each of them.

    Raises:
        RunError: the images' positions are unknown.
    """
    positions, labels, predicted = predictions.positions, predictions.labels, predictions.predicted
    if positions is None or len(positions) != len(labels):
        raise RunError("which images the predictions are of is not known")
    if predictions.label_sets is not None:
        return _worst_answers(predictions.label_sets, positions, classes)
    rows = np.arange(len(labels))
    true, confidence = predictions.probabilities[rows, labels], predictions.probabilities[rows, predicted]
    wrong = np.flatnonzero(predicted != labels)
    worst = wrong[np.argsort(true[wrong], kind="stable")][:MAX_PICTURES]
    return [
        (
            int(positions[row]),
            [
                f"{classes[labels[row]]} ({true[row]:.2f})",
                f"predicted {classes[predicted[row]]} ({confidence[row]:.2f})",
                f"case of image {positions[row]}" if predictions.by_case else f"image {positions[row]}",
            ],
        )
        for row in worst
    ]


def _worst_answers(predictions: LabelSetPredictions, positions: Array, classes: Sequence[str]) -> Captions:
    rows, labels = np.nonzero(predictions.wrong)
    scores, having = predictions.probabilities[rows, labels], predictions.having[rows, labels]
    worst = np.argsort(np.where(having, scores, 1 - scores), kind="stable")[:MAX_PICTURES]
    return [
        (
            int(positions[rows[i]]),
            [
                f"{WITH if having[i] else WITHOUT} {classes[labels[i]]}",
                f"probability of it {scores[i]:.2f}",
                f"image {positions[rows[i]]}",
            ],
        )
        for i in worst
    ]


def label_issue_captions(table: bytes, path: str, *, label_sets: bool = False) -> Captions:
    """Return the images of a label_issues.csv, whose `path` an error names, with labels and suggestions.

    With `label_sets` a label is an answer, such as "with Edema".

    Raises:
        RunError: the table is damaged.
    """
    suggesting = "rather" if label_sets else "looks like"
    try:
        return [
            (
                int(row["position"]),
                [
                    f"labelled {row['label']} ({float(row['given_probability']):.2f})",
                    f"{suggesting} {row['suggested']} ({float(row['suggested_probability']):.2f})",
                    f"image {row['position']} ({row['split']})",
                ],
            )
            for row in csv.DictReader(io.StringIO(table.decode()))
        ]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(f"{path} is damaged: {error!r}") from None
