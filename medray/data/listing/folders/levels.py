"""Look at all folders of one level of a tree: what they hold, and whether they hold the same folders."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from medray.data.listing.folder_names import comparable

MOST_APART = 0.5  # share of the folders below that only one folder holds, if all hold the same


@dataclass(frozen=True)
class FolderLevel:
    """The folders of one level that have images below, by their names; folders of one name are taken together.

    `holds` has the names of the folders just below each, in the form in which names are compared, and `spelled`
    the first spelling of each. `inner` has, for each of those, the folders below it. `direct` counts the images
    that lie directly in each. `parents` are the paths of the folders that hold this level's, each ending in "/" or
    empty, and `paths` their own.
    """

    holds: Mapping[str, frozenset[str]]
    inner: Mapping[str, frozenset[str]]
    spelled: Mapping[str, str]
    direct: Mapping[str, int]
    parents: tuple[str, ...]
    paths: frozenset[str]

    @classmethod
    def of(cls, images: Iterable[str], depth: int) -> "FolderLevel":
        """Return the level below `depth` folders; of the paths `images` those that lie higher are left out."""
        holds: dict[str, set[str]] = defaultdict(set)
        inner: dict[str, set[str]] = defaultdict(set)
        spelled: dict[str, str] = {}
        direct: Counter[str] = Counter()
        parents: dict[str, None] = {}
        paths: set[str] = set()
        for path in images:
            *folders, _ = path.split("/")
            if len(folders) <= depth:
                continue
            name, *below = folders[depth:]
            parent = path[: sum(len(folder) + 1 for folder in folders[:depth])]
            parents[parent] = None
            paths.add(parent + name)
            held = holds[name]
            if not below:
                direct[name] += 1
                continue
            key = comparable(below[0])
            spelled.setdefault(key, below[0])
            held.add(key)
            inner[key].update(map(comparable, below[1:2]))
        return cls(
            {name: frozenset(held) for name, held in sorted(holds.items())},
            {name: frozenset(held) for name, held in inner.items()},
            spelled,
            direct,
            tuple(parents),
            frozenset(paths),
        )

    @property
    def names(self) -> list[str]:
        """The names of the folders, sorted."""
        return list(self.holds)

    def same_below(self, names: Iterable[str] | None = None) -> list[str]:
        """Return the folders that at least two of the folders `names` (all without it) hold, as they are spelled.

        The list is empty unless there are two, and most of the folders below are among them: classes that hold the
        folders of their own patients do not hold the same.
        """
        held = [self.holds[name] for name in (self.holds if names is None else names)]
        shared = shared_names(held)
        count = sum(map(len, held))
        if len(shared) < 2 or sum(len(part & shared) for part in held) <= MOST_APART * count:
            return []
        return sorted(self.spelled[name] for name in shared)


def shared_names(held: Iterable[Set[str]]) -> frozenset[str]:
    """Return the names that are in two or more of the sets."""
    counts = Counter(name for part in held for name in part)
    return frozenset(name for name, count in counts.items() if count > 1)
