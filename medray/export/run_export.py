"""Export a run's ensemble: model.onnx, its model card, and the facts that programs read, in one folder."""

import json
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from medray._types import Array
from medray.console import say, step
from medray.data.listing.listing import TRAIN, VAL
from medray.ensemble.ensemble import Ensemble
from medray.errors import MedrayError, RunError
from medray.evaluate.scores_document import ReadScores
from medray.evaluate.test_reads import ensemble_fingerprint, stored_reads
from medray.export.answer_module import EnsembleAnswer
from medray.export.model_card import CardFacts, card
from medray.export.write_onnx import INPUT, OnnxCheck, check_onnx, onnx_bytes
from medray.runs.finished_search import find_run
from medray.runs.folder import Folder, locate
from medray.runs.run_data import load_run_data
from medray.runs.rundir import MANIFEST, RunDir
from medray.text import plural

IMAGES = 100  # of the check
EXPORT, MODEL, CARD, CONFIG = "export", "model.onnx", "README.md", "config.json"


@dataclass(frozen=True)
class ExportOptions:
    """The command line; `out` is another folder than the run's export/, `data` where the images lie now."""

    run: str
    out: str | None = None
    data: str | None = None


@dataclass(frozen=True)
class Exported:
    """The folder and its files, the size in bytes of model.onnx, and how it compares with the ensemble.

    `checked_on` says what the images of the check were.
    """

    folder: str
    files: tuple[str, ...]
    size: int
    outputs: tuple[str, ...]
    check: OnnxCheck
    checked_on: str


def run_export(options: ExportOptions, console: Console) -> Exported:
    """Write the export of a run's ensemble; an earlier one is replaced.

    Raises:
        RunError: there is no run or no ensemble, it can't be converted, the file does not answer as the ensemble
            does, or the folder can't be written.
        DataError: the images are not at `options.data`.
    """
    run = find_run(options.run)
    digest = ensemble_fingerprint(run)
    folder = run.child(EXPORT) if options.out is None else Folder(locate(options.out))
    ensemble = Ensemble.load(run.path(run.ENSEMBLE))
    images, checked_on = _images(run, ensemble, options.data, console)
    with step(console, "Converting the ensemble to ONNX"):
        content = onnx_bytes(ensemble)
    with step(console, f"Comparing its answers to {checked_on}"):
        check = check_onnx(content, ensemble, images)
    outputs = tuple(EnsembleAnswer(ensemble).output_names)
    scores = next((read for read in _reads(run) if read.ensemble == digest), None)
    facts = CardFacts(run.read_space().name, ensemble.manifest, run.read_data(), outputs, check, scores)
    files = {
        MODEL: content,
        CARD: card(facts).encode(),
        CONFIG: json.dumps(_config(ensemble, outputs), indent=2, ensure_ascii=False).encode(),
        MANIFEST: run.ensemble.read(MANIFEST),
    }
    try:
        for name, text in files.items():
            folder.write(name, text)
    except OSError as error:
        raise RunError(f"{folder.location} can't be written: {error.strerror or error}") from None
    return Exported(folder.location, tuple(files), len(content), outputs, check, checked_on)


def _images(run: RunDir, ensemble: Ensemble, source: str | None, console: Console) -> tuple[Array, str]:
    """Return images for the check, and what they are: validation images, or noise where the data are gone."""
    shape = ensemble.image_shape
    try:
        with step(console, "Loading the images of the check") as progress:
            dataset = load_run_data(source or run.read_facts().options.data, run.read_space(), progress)
        positions = np.concatenate([dataset.splits[split] for split in (VAL, TRAIN)])[:IMAGES]
        if dataset.images.shape[1:] == shape:
            return np.asarray(dataset.images[positions]), plural(len(positions), "validation or training image")
    except MedrayError as error:
        if source is not None:
            raise
        say(console, f"The images are not there, so it is checked on noise: {error}")
    noise = np.random.default_rng(0).integers(0, 256, size=(IMAGES, *shape), dtype=np.uint8)
    return noise, f"{IMAGES} images of noise"


def _reads(run: RunDir) -> list[ReadScores]:
    """Return the scores of all reads of the test split that ended, the last one first."""
    return [scores for read in reversed(stored_reads(run)) if (scores := read.scores()) is not None]


def _config(ensemble: Ensemble, outputs: tuple[str, ...]) -> dict[str, object]:
    """Return what programs need beside the file: the names of classes and outputs, and the input's size."""
    height, width, channels = ensemble.image_shape
    return {
        "id2label": {str(index): name for index, name in enumerate(ensemble.class_names)},
        "label2id": {name: index for index, name in enumerate(ensemble.class_names)},
        "problem_type": "multi_label_classification"
        if ensemble.task.label_sets
        else "single_label_classification",
        "input": {"name": INPUT, "dtype": "uint8", "height": height, "width": width, "channels": channels},
        "outputs": list(outputs),
    }
