"""The reads of test splits that are known besides a run's own: by this machine's registry, and in runs beside it.

    reads/<SHA-256 of the test split>/<uuid of the read>.json

in the cache folder says when which run read that split, and nothing of the data. One file a read, written whole
or not at all: two processes need no lock, and a damaged file takes no other read along.
"""

import contextlib
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from medray.errors import ConfigError, RunError
from medray.evaluate.scores_document import ReadFacts
from medray.evaluate.test_reads import BEGUN, READ
from medray.files import CACHE_HINT, cache_folder, write_file
from medray.json_document import JsonDocument
from medray.runs.folder import Folder
from medray.runs.rundir import RunDir

KIND = "reads"
LISTED_AT_ONCE = 16  # an object store takes tens of milliseconds to list a folder


@dataclass(frozen=True)
class KnownRead(JsonDocument):
    """A read of a test split: the split's SHA-256, the time, the run's location, and the read's number in it.

    `time` is ISO 8601 in UTC; `run` is without what may be secret in a URI.
    """

    test: str
    time: str
    run: str
    read: int

    @classmethod
    def of(cls, facts: ReadFacts, run: Folder) -> "KnownRead":
        """Return the read that `facts` in the folder of `run` describe."""
        return cls(facts.test, facts.time, run.public_location, facts.read)


def register(facts: ReadFacts, run: RunDir) -> None:
    """Write a read of `run` to this machine's registry.

    Raises:
        RunError: it can't be written.
    """
    try:
        folder = cache_folder(KIND) / facts.test
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(folder / f"{facts.uuid}.json", json.dumps(KnownRead.of(facts, run).to_dict()).encode() + b"\n")
    except OSError as error:
        raise RunError(f"{folder} can't be written: {error.strerror or error}; {CACHE_HINT}") from None
    except ConfigError as error:  # there is no home folder
        raise RunError(str(error)) from None


def registered(test: str) -> dict[str, KnownRead]:
    """Return the reads of the split with that SHA-256 in this machine's registry, by uuid; not damaged ones."""
    reads = {}
    with contextlib.suppress(OSError, ConfigError):
        for path in cache_folder(KIND).joinpath(test).glob("*.json"):
            with contextlib.suppress(OSError, ValueError, RecursionError, RunError):
                read = KnownRead.from_dict(json.loads(path.read_bytes()))
                if read.test == test:
                    reads[path.stem] = read
    return reads


def reads_beside(run: RunDir, test: str) -> dict[str, KnownRead]:
    """Return the reads of the split with that SHA-256 in the folders beside a run's, by uuid.

    They are left out where they are damaged or may not be listed.
    """
    parent = run.parent
    if parent is None:
        return {}
    try:
        names = parent.names()
    except (OSError, ValueError):  # a bucket of which only the run may be read
        return {}
    with ThreadPoolExecutor(LISTED_AT_ONCE) as pool:
        listed = list(pool.map(lambda name: list(_reads_in(parent, name)), names))
    return {
        facts.uuid: KnownRead.of(facts, other) for reads in listed for facts, other in reads if facts.test == test
    }


def _reads_in(parent: Folder, name: str) -> Iterator[tuple[ReadFacts, Folder]]:
    """Yield the facts of every read in the folder `name`, and that folder."""
    evaluation = f"{name}/{RunDir.EVALUATION}"
    with contextlib.suppress(OSError, ValueError):
        for read in parent.names(evaluation):
            if re.fullmatch(READ, read):
                with contextlib.suppress(RunError, OSError, RecursionError):
                    yield parent.read_document(f"{evaluation}/{read}/{BEGUN}", ReadFacts), parent.child(name)
