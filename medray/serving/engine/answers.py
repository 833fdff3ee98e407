"""The service's answers to /predict and /metadata as types; the interface's description is made of them."""

from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from typing_extensions import TypeAliasType

from medray.decisions.conformal import ConformalSets
from medray.decisions.ood import OodFacts
from medray.ensemble.manifest import SelectedOn
from medray.runs.run_facts import SplitFacts
from medray.stats.rates import Rates

#: A class of the served model; its own schema in the interface's description lists the model's classes.
ClassName = TypeAliasType("ClassName", str)
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class Decision:
    """What an operating point says of an image: whether the probability of its event reaches its threshold.

    The event is the class, or of ordered grades it `or more`.
    """

    operating_point: str
    event: str
    class_name: Annotated[ClassName, Field(alias="class")]
    probability: Share
    threshold: float
    positive: bool


@dataclass(frozen=True)
class ConformalSet:
    """The classes of which one is true with a probability of `coverage`, in the model's order."""

    coverage: Share
    classes: list[ClassName]


@dataclass(frozen=True)
class OodScore:
    """How unlike the training images an image is, and the score above which it is out of distribution."""

    score: float
    threshold: float


@dataclass(frozen=True)
class ImageFacts:
    """An image as it was sent."""

    format: str
    height: int
    width: int


@dataclass(frozen=True, kw_only=True)
class Classification:
    """What the ensemble says of an image."""

    label: ClassName
    probabilities: Annotated[dict[ClassName, Share], Field(description="calibrated")]
    decisions: list[Decision]
    sets: list[ConformalSet]
    flags: Annotated[list[str], Field(description="out_of_distribution, and what was done to the image")]
    ood: OodScore | None


@dataclass(frozen=True, kw_only=True)
class ImagePrediction(Classification):
    """The answer for one image."""

    file: Annotated[str | None, Field(description="the form's file name")]
    image: ImageFacts
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    overlay: Annotated[str | None, Field(description="data: URL of a PNG, with explain=true")] = None


@dataclass(frozen=True)
class ModelIdentity:
    """The model that answered: its name, and the first digits of its manifest's SHA-256."""

    name: str
    version: str


@dataclass(frozen=True)
class PredictResponse:
    """The answer to /predict."""

    model: ModelIdentity
    request_id: str
    predictions: list[ImagePrediction]


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


@dataclass(frozen=True, kw_only=True)
class Metadata(ModelIdentity):
    """The answer to /metadata: what the model is, how good, and what it is not for."""

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


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what writes and describes the answers of a type."""
    return TypeAdapter(kind)


def to_plain(answer: object) -> Any:
    """Return an answer as values that JSON can hold, by the field's names in JSON; defaults are left out."""
    kind: Any = type(answer)
    return adapter(kind).dump_python(answer, by_alias=True, exclude_defaults=True)
