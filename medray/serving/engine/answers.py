"""The service's answers to /predict as types; the interface's description is made of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from typing_extensions import TypeAliasType

#: A class of the served model; its own schema in the interface's description lists the model's classes.
ClassName = TypeAliasType("ClassName", str)
Share = Annotated[float, Field(ge=0, le=1)]
Probabilities = Annotated[dict[ClassName, Share], Field(description="calibrated")]
Flags = Annotated[list[str], Field(description="out_of_distribution, and what was done to the image")]
CALLED = "called: the probability reaches the label's first operating point, or one half where it has none"


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
class LabelSets:
    """The labels that an image has, has not, and may have, each right with a probability of `coverage`.

    Of several labels each is in one of the three, in the model's order.
    """

    coverage: Share
    present: list[ClassName]
    absent: list[ClassName]
    not_sure: list[ClassName]


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
    probabilities: Probabilities
    decisions: list[Decision]
    sets: list[ConformalSet]
    flags: Flags
    ood: OodScore | None


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """What the ensemble says of an image that may have several labels, or none; probabilities don't sum to 1."""

    labels: Annotated[list[ClassName], Field(description=CALLED)]
    probabilities: Probabilities
    decisions: list[Decision]
    sets: list[LabelSets]
    flags: Flags
    ood: OodScore | None


@dataclass(frozen=True, kw_only=True)
class SentImage:
    """The part of an answer that is of the image as it was sent."""

    file: Annotated[str | None, Field(description="the form's file name")]
    image: ImageFacts
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    overlay: Annotated[str | None, Field(description="data: URL of a PNG, with explain=true")] = None


@dataclass(frozen=True, kw_only=True)
class ImagePrediction(SentImage, Classification):
    """The answer for one image."""


@dataclass(frozen=True, kw_only=True)
class ImageLabels(SentImage, Labelling):
    """The answer for one image that may have several labels."""

    overlay_label: Annotated[ClassName | None, Field(description="the label that the overlay is of")] = None


@dataclass(frozen=True, kw_only=True)
class CaseImage(SentImage):
    """An image of a case: how much it weighed in the case's answer, and what the ensemble says of it alone."""

    weight: Annotated[Share, Field(description="in the probability of `weights_of`; those of a case sum to 1")]
    probabilities: Probabilities
    flags: Flags
    ood: OodScore | None
    overlay_label: Annotated[ClassName | None, Field(description="the class that the overlay is of")] = None


@dataclass(frozen=True)
class WeighedMost:
    """The image that weighed most, by its position; of equal weights the one that says the class most likely."""

    index: Annotated[int, Field(ge=0)]
    file: str | None


@dataclass(frozen=True, kw_only=True)
class SentCase:
    """The part of an answer that is of the images of a case.

    The case's flags are those of any image, and its out-of-distribution score is the highest one.
    """

    weights_of: Annotated[ClassName, Field(description="the class that weights are of: the likeliest one called")]
    weighed_most: WeighedMost
    images: Annotated[list[CaseImage], Field(min_length=1)]


@dataclass(frozen=True, kw_only=True)
class CasePrediction(SentCase, Classification):
    """The answer for the images of one case."""


@dataclass(frozen=True, kw_only=True)
class CaseLabels(SentCase, Labelling):
    """The answer for the images of one case that may have several labels."""


Answered = ImagePrediction | ImageLabels | CasePrediction | CaseLabels


def called_labels(prediction: Classification | Labelling) -> list[str]:
    """Return the class that an image is of, or the labels that are called."""
    return [prediction.label] if isinstance(prediction, Classification) else prediction.labels


def most_likely(prediction: Classification | Labelling) -> str:
    """Return the class that an image is of; of several labels the likeliest that is called, or else of all."""
    called = called_labels(prediction) or list(prediction.probabilities)
    return max(called, key=lambda name: prediction.probabilities[name])


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
class LabelSetResponse:
    """The answer to /predict of a model of several labels an image."""

    model: ModelIdentity
    request_id: str
    predictions: list[ImageLabels]


@dataclass(frozen=True)
class CaseResponse:
    """The answer to /predict?case=true."""

    model: ModelIdentity
    request_id: str
    case: CasePrediction


@dataclass(frozen=True)
class LabelSetCaseResponse:
    """The answer to /predict?case=true of a model of several labels an image."""

    model: ModelIdentity
    request_id: str
    case: CaseLabels


def response_of(
    model: ModelIdentity, request_id: str, predictions: Sequence[Answered]
) -> PredictResponse | LabelSetResponse | CaseResponse | LabelSetCaseResponse:
    """Return the answer to /predict of predictions by one model, those of images or that of one case."""
    first = predictions[0]
    if isinstance(first, CaseLabels):
        return LabelSetCaseResponse(model, request_id, first)
    if isinstance(first, CasePrediction):
        return CaseResponse(model, request_id, first)
    labels = [prediction for prediction in predictions if isinstance(prediction, ImageLabels)]
    if labels:
        return LabelSetResponse(model, request_id, labels)
    classes = [prediction for prediction in predictions if isinstance(prediction, ImagePrediction)]
    return PredictResponse(model, request_id, classes)


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    """Return what writes and describes the answers of a type."""
    return TypeAdapter(kind)


def to_plain(answer: object) -> Any:
    """Return an answer as values that JSON can hold, by the field's names in JSON; defaults are left out."""
    kind: Any = type(answer)
    return adapter(kind).dump_python(answer, by_alias=True, exclude_defaults=True)
