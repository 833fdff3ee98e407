"""Print what a person should know of predictions: how good they are, which files failed, which look unlike."""

from rich.console import Console

from medray.console import note, say
from medray.predict.print_scores import print_scores
from medray.predict.run_predict import PredictedImages
from medray.text import plural


def print_predictions(console: Console, predicted: PredictedImages, csv_file: str | None) -> None:
    """Print notes, scores, unreadable files and images out of distribution; `csv_file` is where the table lies."""
    for line in predicted.notes:
        note(console, line)
    if predicted.scored is not None:
        print_scores(console, predicted.scored, predicted.manifest)
    for line in predicted.unreadable:
        say(console, f"can't be read: {line}")
    predictions = predicted.predictions
    images, unlike = predictions.images, len(predictions.out_of_distribution)
    if unlike:
        say(
            console,
            f"{unlike} of {images} images are unlike those that the networks were trained on; don't rely on their "
            "predictions",
        )
    if csv_file:
        say(console, f"Predictions of {plural(len(predictions.rows), predictions.unit)}: {csv_file}")
