"""The images that a report shows: small PNGs inside the page, never of the test split."""

import base64
import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medray._types import Progress, silent
from medray.analyze.open_runs import SeenRun
from medray.data.dataset import ImageDataset
from medray.errors import DataError, MedrayError, RunError
from medray.pictures.contact_sheet import fitted
from medray.report.answers import Answers
from medray.report.blocks import Picture
from medray.runs.finished_search import SearchedRun

MOST, SIDE = 24, 160  # pictures, and pixels of the longer side; smaller images are enlarged by the page
TEST = "test"
LEFT_OUT = "--no-images left them out"


@dataclass(frozen=True)
class Album:
    """The run's images, or why they are not to be had."""

    dataset: ImageDataset | None
    why_not: str | None = None

    def pictures(self, shown: Sequence[tuple[int, Sequence[str]]]) -> list[Picture]:
        """The images at these places in the data set, each with its lines.

        Raises:
            RunError: one of them is of the test split, or there is no such image.
        """
        assert self.dataset is not None
        places = [position for position, _ in shown]
        if np.isin(places, self.dataset.splits.get(TEST, np.empty(0))).any():
            raise RunError("images of the test split are among those to be shown: nothing here may show them")
        if any(not 0 <= place < len(self.dataset) for place in places):
            raise RunError(f"an image to be shown is none of the {len(self.dataset)} of {self.dataset.source}")
        return [Picture(_uri(self.dataset, place), lines) for place, lines in shown]


def open_album(seen: SeenRun, source: str | None, progress: Progress = silent) -> Album:
    """Load the run's images, from `source` where they have moved; what goes wrong is said in the album.

    Raises:
        MedrayError: there is nothing usable at a `source` that was given.
    """
    try:
        if seen.space is None:
            raise RunError("the run's search space can't be read")
        searched = SearchedRun(seen.run, seen.space, seen.options, seen.run.read_json(seen.run.DATA), seen.records)
        return Album(searched.load_data(source, progress))
    except (MedrayError, OSError, KeyError, TypeError) as error:
        if source is not None:
            raise error if isinstance(error, MedrayError) else DataError(f"{source}: {error}") from error
        return Album(None, " ".join(str(error).split()))


def _uri(dataset: ImageDataset, position: int) -> str:
    image = dataset.images[position]
    longest = max(image.shape[:2])
    drawn = fitted(image, SIDE if longest > SIDE else longest)
    stream = io.BytesIO()
    _plain(drawn).save(stream, format="PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _plain(image: Image.Image) -> Image.Image:
    """Only the pixels: nothing that a PNG may carry beside them."""
    return Image.frombytes(image.mode, image.size, image.tobytes())


def most_wrong(answers: Answers, classes: Sequence[str]) -> list[tuple[int, list[str]]]:
    """The places of the images whose true class was found least likely, of those that were got wrong."""
    if answers.positions is None or len(answers.positions) != len(answers.labels):
        raise RunError("which images the predictions are of is not known")
    rows = np.arange(len(answers.labels))
    true = answers.probabilities[rows, answers.labels]
    wrong = np.flatnonzero(answers.predicted != answers.labels)
    worst = wrong[np.argsort(true[wrong], kind="stable")][:MOST]
    return [
        (int(answers.positions[i]), _lines(answers, i, classes, int(answers.positions[i]))) for i in worst.tolist()
    ]


def _lines(answers: Answers, row: int, classes: Sequence[str], position: int) -> list[str]:
    label, said = int(answers.labels[row]), int(answers.predicted[row])
    given, other = answers.probabilities[row, label], answers.probabilities[row, said]
    return [f"{classes[label]} ({given:.2f})", f"called {classes[said]} ({other:.2f})", f"image {position}"]


def doubted(table: bytes, name: str) -> list[tuple[int, list[str]]]:
    """The places of the images of a label_issues.csv called `name`, with what is doubted.

    Raises:
        RunError: it is no such table.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(table.decode())))
        return [
            (
                int(row["position"]),
                [
                    f"labelled {row['label']} ({float(row['given_probability']):.2f})",
                    f"looks like {row['suggested']} ({float(row['suggested_probability']):.2f})",
                    f"image {row['position']} ({row['split']})",
                ],
            )
            for row in rows
        ]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise RunError(f"{name} is damaged: {error!r}") from None
