"""Whether a folder is on a disk that other machines write to as well."""

import os
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
NETWORK = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "ocfs2",
    "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "virtiofs", "wekafs",
})  # fmt: skip


def on_network(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Return whether a folder, which need not exist, is on a network's file system, by a table of mounts.

    All that FUSE mounts but block devices counts as one. False where there is no such table.
    """
    path = Path(os.path.realpath(folder))
    found = [(len(point.parts), kind) for point, kind in _mounted(mounts) if path.is_relative_to(point)]
    kind = max(found, key=lambda item: item[0])[1] if found else ""
    return kind in NETWORK or kind.startswith(("nfs", "fuse."))


def _mounted(mounts: Path) -> Iterator[tuple[Path, str]]:
    """Yield each mount's point and kind, in their order, of which the last on one point counts."""
    try:
        lines = mounts.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return
    points = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 2:
            points[fields[1].encode().decode("unicode_escape")] = fields[2]  # of a space, \040
    for point, kind in points.items():
        yield Path(point), kind
