"""Dispatch a source of image files to the module that lists its kind."""

from medray.data.listing.dicom.list_dicom import list_dicom
from medray.data.listing.folders.list_folder import list_folder
from medray.data.listing.listing import Listing
from medray.data.listing.tables.list_table import list_table
from medray.data.source import CSV, DICOM, FOLDER, Source
from medray.errors import DataError, SideCarError, printable

LISTERS = {FOLDER: list_folder, CSV: list_table, DICOM: list_dicom}


def list_source(source: Source) -> Listing:
    """List the image files of a folder, table or DICOM source.

    Raises:
        SideCarError: masks or the like lie among the images.
        DataError: an option's value is unknown, or what the source names can't be listed.
    """
    try:
        return LISTERS[source.kind](source)
    except SideCarError as error:
        line = printable(str(error))
        raise SideCarError(line, exclude=error.exclude, count=error.count, example=error.example) from None
    except DataError as error:
        raise type(error)(printable(str(error))) from None  # a path may hold anything, even a line end
