"""Trees of small files, which tests make themselves, and what must hold of every listing of them."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from medray.data.listing.list_source import list_source
from medray.data.listing.listing import CALIBRATION, SPLITS, ListedImage, Listing
from medray.data.source import parse_source
from medray.errors import DataError


def grow(root: Path, files: Iterable[str] | Mapping[str, bytes | str]) -> Path:
    """Write files by their paths below `root`; where no content is given, each has one of its own."""
    contents = files if isinstance(files, Mapping) else {name: f"content of {name}" for name in files}
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


def check(listing: Listing) -> Listing:
    """Each file once, splits of the three, folds within bounds that share nothing."""
    paths = [image.path for image in listing.images]
    assert len(set(paths)) == len(paths) == len(listing)
    assert {image.split for image in listing.images} <= {*SPLITS, CALIBRATION, None}
    for train, held_out in listing.folds or ():
        for positions in (train, held_out):
            assert positions.dtype == np.int64
            assert (np.diff(positions) > 0).all()
            assert set(positions.tolist()) <= set(range(len(listing)))
        assert not set(train.tolist()) & set(held_out.tolist())
    assert all("\n" not in text for text in (*listing.notes, *listing.ignored, *listing.missing))
    return listing


def list_text(source: str) -> Listing:
    return list_source(parse_source(source))


def listed(source: object, kind: str = "folder") -> Listing:
    return check(list_text(f"{kind}:{source}"))


def by_where(listing: Listing) -> dict[str, ListedImage]:
    return {image.where: image for image in listing.images}


def labels(listing: Listing) -> dict[str, str]:
    return {image.where: ", ".join(image.labels) for image in listing.images}


def refusal(made: Callable[[], object], *fragments: str) -> str:
    """The one line by which it is refused; it holds the fragments."""
    with pytest.raises(DataError) as caught:
        made()
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message, message
    return message
