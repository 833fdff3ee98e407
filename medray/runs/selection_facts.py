"""SelectionComparison: the content of selection.json, the selections of an ensemble's members side by side."""

from dataclasses import dataclass

from medray.json_document import JsonDocument
from medray.runs.run_facts import check_metric, check_temperatures


@dataclass(frozen=True)
class WeightedMember(JsonDocument):
    """One network of an ensemble: the trial, or one fold of its settings, that trained it, and its weight."""

    trial: int
    fold: int | None
    weight: float


SINGLE, TOP_K, GREEDY, ALL_FOLDS = "single", "top-k", "greedy", "folds"  # strategies of selection
DEFAULT_K = 8  # members, or settings, of a top-k average, at most


def selection_title(strategy: str, source: str) -> str:
    """Return what people read for a selection by `strategy` from the candidates of `source`."""
    titles = {SINGLE: "best single trial", ALL_FOLDS: "folds of the best setting"}
    return titles.get(strategy, f"{strategy} of {source}")


@dataclass(frozen=True)
class SelectionFacts(JsonDocument):
    """One selection of an ensemble's members: by which strategy, from which candidates, and how good it is.

    `source` is "trials" or "folds". `images` are the images, or cases where the run has such, of `selected_on`
    ("val" or "out-of-fold"), from which the members and all scores come; `scores` are those before the
    temperature. The temperatures were fitted on images of `calibrated_on` ("calibration", or the images of
    `selected_on`).
    """

    strategy: str
    source: str
    selected_on: str
    images: int
    temperatures: tuple[float, ...]
    calibrated_on: str | None
    members: tuple[WeightedMember, ...]
    scores: dict[str, float]
    calibrated_scores: dict[str, float]

    def check(self) -> None:
        """Check that there are members and that the temperatures are above 0."""
        if not self.members:
            raise ValueError("it has no members")
        check_temperatures(self.temperatures)

    @property
    def title(self) -> str:
        """Strategy and source, as people read them."""
        return selection_title(self.strategy, self.source)


@dataclass(frozen=True)
class SelectionComparison(JsonDocument):
    """selection.json: every selection that was compared; `selected`, an index, is the ensemble's."""

    metric: str
    selected: int
    selections: tuple[SelectionFacts, ...]

    def check(self) -> None:
        """Check that the metric is known and the index is of a selection."""
        check_metric(self.metric)
        if not 0 <= self.selected < len(self.selections):
            raise ValueError(f"selected is {self.selected}, of {len(self.selections)} selections")

    @property
    def of_ensemble(self) -> SelectionFacts:
        """The selection that the ensemble was made of."""
        return self.selections[self.selected]
