"""Load the data set of a run: a source, prepared as the search space says, with cases and calibration split."""

from medray._types import Progress
from medray.data.calibration_split import with_calibration
from medray.data.cases import with_cases
from medray.data.dataset import ImageDataset
from medray.data.grades import in_order_of_grades
from medray.data.load_data import load_data
from medray.data.source import PHANTOM, parse_source
from medray.space.search_space import SearchSpace
from medray.tasks import ORDERED


def load_run_data(source: str, space: SearchSpace, progress: Progress) -> ImageDataset:
    """Return the data set that a search of `space` trains on, the same one on every call.

    A phantom that the source does not name is the one that the space's own data name, or that of the space's name.

    Raises:
        DataError: there is no such source, or its content does not fit.
    """
    own = parse_source(space.data)
    phantom = own.name if own.kind == PHANTOM and own.name else space.name
    dataset = load_data(source, phantom=phantom, preparation=space.preparation, progress=progress)
    if space.task == ORDERED.name:
        dataset = in_order_of_grades(dataset, space.preparation.labels.order or None)
    dataset = with_cases(dataset, space.preparation.cases, space.task)
    return with_calibration(dataset, space.preparation.splits.calibration, progress)
