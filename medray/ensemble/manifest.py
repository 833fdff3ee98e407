"""An ensemble's folder: the members' weights, and the manifest that says what they are."""

import hashlib
from dataclasses import dataclass
from typing import Any

from medray._types import Shape
from medray.config import TrainConfig
from medray.decisions.conformal import ConformalSets
from medray.decisions.ood import OodFacts
from medray.decisions.thresholds import OperatingPoint
from medray.errors import RunError, WeightsError, one_line
from medray.json_document import JsonDocument
from medray.runs.folder import Folder, locate
from medray.runs.run_facts import SplitFacts, check_images, check_task, check_temperatures
from medray.runs.rundir import MANIFEST, RunDir
from medray.stats.case_rule import CaseRule
from medray.stats.events import Event
from medray.tasks import TASKS
from medray.text import plural

FORMAT = 9
VERSION_DIGITS = 12


@dataclass(frozen=True)
class StoredFile(JsonDocument):
    """A file of the ensemble's folder: its path in there, and the SHA-256 of its content."""

    file: str
    sha256: str

    def read_from(self, folder: Folder) -> bytes:
        """Return the file's content.

        Raises:
            WeightsError: it is missing, or not the one that the manifest describes.
        """
        path = folder.path(self.file)
        try:
            content = folder.read(self.file)
        except FileNotFoundError:
            raise WeightsError(f"{path} is missing") from None
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise WeightsError(
                f"{path} is not the file that {folder.path(MANIFEST)} describes: its SHA-256 differs"
            )
        return content


@dataclass(frozen=True)
class MemberFacts(StoredFile):
    """One network: its weights' file, the training that it comes from, and its weight in the average.

    `weights_licence` is that of the weights it began with, as timm states it; None where it began with random
    ones.
    """

    trial: int
    fold: int | None
    baseline: str | None
    weight: float
    best_epoch: int
    scores: dict[str, float]
    config: dict[str, Any]
    weights_licence: str | None = None

    @property
    def train_config(self) -> TrainConfig:
        """The settings it was trained with."""
        return TrainConfig.from_dict(self.config)

    def check(self) -> None:
        """Check that the weight is above 0 and the settings are some that can be trained with."""
        if self.weight <= 0:
            raise ValueError(f"the weight is {self.weight}; it must be above 0")
        TrainConfig.from_dict(self.config)


@dataclass(frozen=True)
class OodFile(StoredFile):
    """The file of the arrays of the ensemble's out-of-distribution detector, and what it was fitted on."""

    facts: OodFacts


@dataclass(frozen=True)
class SelectedOn(JsonDocument):
    """The `images`, or cases, on which the members were selected; `predictions` is "val" or "out-of-fold".

    `scores` are those of the calibrated average on the same images.
    """

    predictions: str
    images: int
    metric: str
    scores: dict[str, float]
    scores_before_temperature: dict[str, float]


@dataclass(frozen=True)
class ManifestData(JsonDocument):
    """The data set that an ensemble comes from."""

    source: str
    fingerprint: str
    splits: dict[str, SplitFacts]


@dataclass(frozen=True)
class Manifest(JsonDocument):
    """manifest.json: all that is known of an ensemble without its run.

    `task` is a name in `medray.tasks.TASKS`. Where it has `cases`, each member's answers to the images of a case
    become one by that rule, which is what is averaged and calibrated, and what points and sets were set on.
    `temperatures` are one, or of several labels one for each.
    `calibrated_on` names the images that temperature, operating points and sets were set on: "calibration", which
    neither trained nor selected a network, or else those of `selected_on`; None where nothing was calibrated.
    `looks` is the file of how the study's images look (`medray.decisions.looks`).
    """

    format: int
    medray: str
    task: str
    class_names: tuple[str, ...]
    image_shape: Shape
    image_aspect: str
    preprocessing: str
    averaging: str
    temperatures: tuple[float, ...]
    calibrated_on: str | None
    strategy: str
    selected_on: SelectedOn
    operating_points: tuple[OperatingPoint, ...]
    conformal_sets: tuple[ConformalSets, ...]
    ood: OodFile | None
    data: ManifestData
    intended_use: str
    members: tuple[MemberFacts, ...]
    cases: CaseRule | None = None
    looks: StoredFile | None = None

    def check(self) -> None:
        """Check that there are members and classes, and that shape, aspect, temperature and thresholds can be."""
        check_task(self.task)
        check_images(self.image_shape, self.image_aspect)
        if not self.members:
            raise ValueError("it has no members")
        if len(self.class_names) < 2:
            raise ValueError(f"{len(self.class_names)} classes")
        check_temperatures(self.temperatures)
        if self.cases is not None and self.cases.kind != TASKS[self.task].label_kind:
            raise ValueError(f"cases of {self.cases.kind} are not of task '{self.task}'")
        for point in self.operating_points:
            event = point.event
            if event.class_index >= len(self.class_names) or event != Event.at(
                event.class_index, self.class_names, cut=event.and_above
            ):
                raise ValueError(f"class {event.class_index} is not '{event.name}'")

    @property
    def summary(self) -> str:
        """Strategy, number of networks and operating points, as people read them."""
        points = ", ".join(dict.fromkeys(point.name for point in self.operating_points)) or "no operating point"
        return f"{self.strategy} of {plural(len(self.members), 'network')}; {points}"

    @property
    def files(self) -> list[StoredFile]:
        """All files that it describes."""
        return [*self.members, *([self.ood] if self.ood else []), *([self.looks] if self.looks else [])]


def ensemble_folder(location: str) -> Folder:
    """Return the ensemble's folder of a run, or `location` itself where it is one.

    Raises:
        RunError: it is neither, or it can't be reached.
    """
    location = locate(location)
    try:
        for folder in (RunDir(location).ensemble, Folder(location)):
            if folder.exists(MANIFEST):
                return folder
    except (OSError, ValueError) as error:  # no access, no such host, a URI that its file system refuses
        raise RunError(f"{location} can't be reached: {one_line(error)}") from None
    raise RunError(f"{location} is neither a run with an ensemble nor an ensemble: it has no {MANIFEST}")


def version_of(folder: Folder) -> str:
    """The first digits of the manifest's SHA-256, which holds that of every member's weights."""
    return hashlib.sha256(folder.read(MANIFEST)).hexdigest()[:VERSION_DIGITS]


def read_manifest(folder: Folder) -> Manifest:
    """Return an ensemble's manifest.

    Raises:
        RunError: it is missing or damaged, or of another format.
    """
    if not folder.exists(MANIFEST):
        raise RunError(f"{folder.location} is no ensemble: it has no {MANIFEST}")
    content = folder.read_json(MANIFEST)
    written = content.get("format") if isinstance(content, dict) else None
    if written != FORMAT:
        raise RunError(f"{folder.path(MANIFEST)} is of format {written!r}; this medray reads {FORMAT}")
    return Manifest.from_dict(content, folder.path(MANIFEST))


def check_files(folder: Folder) -> None:
    """Check that every file of an ensemble is the one that its manifest describes.

    Raises:
        RunError: there is no manifest, or it is damaged.
        WeightsError: a file is missing, or another one.
    """
    for file in read_manifest(folder).files:
        file.read_from(folder)
