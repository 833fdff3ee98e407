"""Open the source of a new study, without the masks and the like that lie among its images."""

from dataclasses import dataclass, replace

from medray.audit.survey_images import open_source
from medray.data.dataset import ImageDataset
from medray.data.listing.listing import Listing
from medray.data.source import EXCLUDE, Source
from medray.errors import SideCarError
from medray.text import plural


@dataclass(frozen=True)
class OpenedSource:
    """A source, and what it holds; `excluded` says why it leaves files out that the person did not exclude."""

    source: Source
    content: Listing | ImageDataset
    excluded: str = ""


def open_without_side_cars(source: Source) -> OpenedSource:
    """Open a source; where side-cars lie among its images, with the option `exclude` that leaves them out.

    Raises:
        DataError: the source can't be opened, or no pattern of names leaves out the side-cars alone.
    """
    reasons: list[str] = []
    while True:
        try:
            opened = open_source(source)
        except SideCarError as error:
            if not error.exclude or error.exclude == source.options.get(EXCLUDE):
                raise
            files = plural(error.count, "file")
            reasons.append(f"{files} made from images (masks, labels, overlays), as {error.example}")
            source = replace(source, options={**source.options, EXCLUDE: error.exclude})
        else:
            excluded = f"left out by {EXCLUDE}: {'; '.join(reasons)}" if reasons else ""
            return OpenedSource(source, opened, excluded)
