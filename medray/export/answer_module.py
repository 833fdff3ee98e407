"""An ensemble's whole answer as one torch module: from stored images to decisions, as ONNX Runtime runs it.

It is the arithmetic of `medray.ensemble.averaging` and `medray.decisions` in tensors; what is not linear in the
probabilities is computed in float64, as there.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medray.decisions.conformal import FREE_RANKS, INTERVAL, PENALTY, TOLERANCE, ConformalSets
from medray.decisions.temperature import EPSILON
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.averaging import shares_of
from medray.ensemble.ensemble import Ensemble


class EnsembleAnswer(nn.Module):
    """Maps images as they are stored, uint8 (n, H, W, C), to the ensemble's answer.

    The outputs, named by `output_names`: probabilities float32 (n, classes); for each operating point whether
    images are called positive, bool (n,); for each coverage the classes that images may be of, bool (n, classes).
    Points and sets are left out of an ensemble of cases, as of a single image they promise nothing, and sets where
    images may have several labels.
    """

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        manifest = ensemble.manifest
        self.groups = nn.ModuleList(ensemble.groups)
        self.order = [member for group in ensemble.groups for member in group.members]
        self.shares: list[float] = shares_of(ensemble.weights)[self.order].tolist()
        self.temperatures = manifest.temperatures
        self.label_sets = ensemble.task.label_sets
        by_image = manifest.cases is None
        self.points = manifest.operating_points if by_image else ()
        self.sets = manifest.conformal_sets if by_image and not self.label_sets else ()

    @property
    def output_names(self) -> list[str]:
        """Return the outputs' names, in order."""
        points = [point_name(point, self.points) for point in self.points]
        return ["probabilities", *points, *(f"set {sets.coverage:g}" for sets in self.sets)]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs."""
        inputs = images.permute(0, 3, 1, 2).float() / 255
        tables = [table for group in self.groups for table, _ in group(inputs)]
        probabilities = self.calibrate(self.average(tables))
        exact = probabilities.double()
        points = [decide(exact, point) for point in self.points]
        return probabilities, *points, *(conformal_set(exact, sets) for sets in self.sets)

    def average(self, tables: Sequence[Tensor]) -> Tensor:
        """Return the weighted mean of the members' probabilities, float32 (n, classes)."""
        total = torch.stack(
            [share * table.double() for share, table in zip(self.shares, tables, strict=True)]
        ).sum(0)
        return (total if self.label_sets else total / total.sum(1, keepdim=True)).clip(0.0, 1.0).float()

    def calibrate(self, mean: Tensor) -> Tensor:
        """Return the probabilities after the temperature, or those of the labels, float32 (n, classes)."""
        if all(temperature == 1 for temperature in self.temperatures):
            return mean
        exact, temperatures = mean.double(), torch.tensor(self.temperatures, dtype=torch.float64)
        if len(self.temperatures) == 1 and not self.label_sets:
            return torch.softmax(exact.clip(EPSILON, 1.0).log() / temperatures, dim=1).float()
        kept = exact.clip(torch.finfo(torch.float32).tiny, 1 - EPSILON)
        return torch.sigmoid((kept.log() - torch.log1p(-kept)) / temperatures).float()


def point_name(point: OperatingPoint, points: Sequence[OperatingPoint]) -> str:
    """Return the output's name of an operating point; its event is part of it where points have several."""
    several = len({other.event for other in points}) > 1
    return f"{point.name} {point.event.name}" if several else point.name


def decide(exact: Tensor, point: OperatingPoint) -> Tensor:
    """Return whether images of these probabilities, float64 (n, classes), are called positive, bool (n,)."""
    event = point.event
    if not event.and_above:
        return exact[:, event.class_index] >= point.threshold
    return exact[:, event.class_index :].sum(1).clip(0.0, 1.0) >= point.threshold


def conformal_set(exact: Tensor, sets: ConformalSets) -> Tensor:
    """Return the classes that images of probabilities float64 (n, classes) may be of, bool (n, classes)."""
    if sets.quantile is None:
        return torch.ones_like(exact, dtype=torch.bool)
    if sets.method == INTERVAL:
        likeliest = nn.functional.one_hot(exact.argmax(1), exact.shape[1]).bool()
        return (_interval(exact) <= sets.quantile + TOLERANCE) | likeliest
    likelier = exact[:, None, :] > exact[:, :, None]  # [i, c, d]: class d is likelier than c
    before, rank = (exact[:, None, :] * likelier).sum(2), likelier.sum(2)
    penalty = PENALTY * (rank + 1 - FREE_RANKS).clip(min=0) if sets.method == "raps" else 0.0
    scores = 1 - exact if sets.method == "lac" else before + penalty
    return (scores <= sets.quantile + TOLERANCE) | (exact == exact.amax(1, keepdim=True))


def _interval(exact: Tensor) -> Tensor:
    """Return the summed probability of the grades that an interval held before it grew to each."""
    count = exact.shape[1]
    grades = torch.arange(count)
    padded = nn.functional.pad(exact, (1, 1), value=-1.0)  # no grade lies beyond the ends
    low = high = exact.argmax(1, keepdim=True)
    held, scores = exact.gather(1, low), torch.zeros_like(exact)
    for _ in range(count - 1):
        down = padded.gather(1, low) >= padded.gather(1, high + 2)
        grown = torch.where(down, low - 1, high + 1)
        scores = torch.where(grades == grown, held, scores)
        held = held + exact.gather(1, grown)
        low, high = torch.where(down, grown, low), torch.where(down, high, grown)
    return scores
