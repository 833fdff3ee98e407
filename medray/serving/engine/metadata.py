"""The service's answer to /metadata as types; the interface's description is made of them."""

from dataclasses import dataclass

from medray.decisions.conformal import ConformalSets
from medray.decisions.ood import OodFacts
from medray.ensemble.manifest import SelectedOn
from medray.runs.run_facts import SplitFacts
from medray.serving.engine.answers import ClassName, ModelIdentity
from medray.stats.rates import Rates


@dataclass(frozen=True)
class ModelImage:
    """The images that the networks take, and how images of another size are brought to that."""

    height: int
    width: int
    channels: int
    aspect: str


@dataclass(frozen=True)
class ModelMember:
    """A network of the ensemble."""

    backbone: str
    trial: int
    fold: int | None
    weight: float


@dataclass(frozen=True)
class ModelData:
    """The data that the ensemble was trained on; its place is nobody's business."""

    fingerprint: str
    splits: dict[str, SplitFacts]


@dataclass(frozen=True)
class ModelPoint:
    """An operating point by its name in the decisions, with its rates on the images that it was set on.

    It calls the class at `class_index`, of grades `and_above` it too. `promised` is the mean sensitivity that new
    images have at least, None where none is promised.
    """

    name: str
    positive: str
    class_index: int
    and_above: bool
    threshold: float
    rates: Rates
    images: int
    set_on: str
    promised: float | None


@dataclass(frozen=True)
class ModelCases:
    """What makes images one case, such as patient, and how their answers become one, such as mean."""

    by: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class Metadata(ModelIdentity):
    """The answer to /metadata: what the model is, how good, and what it is not for.

    Of several labels an image, `called_from` is the probability from which each is called. With `cases` the scores
    are of cases, and /predict?case=true answers the images of one; without it
    images are answered alone, without decisions and sets, which are of cases.
    """

    task: str
    classes: list[ClassName]
    image: ModelImage
    intended_use: str
    strategy: str
    selected_on: SelectedOn
    temperatures: tuple[float, ...]
    calibrated_on: str | None
    operating_points: list[ModelPoint]
    conformal_sets: list[ConformalSets]
    ood: OodFacts | None
    data: ModelData
    members: list[ModelMember]
    medray: str
    called_from: dict[ClassName, float] | None = None
    cases: ModelCases | None = None
