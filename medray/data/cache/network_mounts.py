"""Whether a folder is on a disk that other machines write to as well."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

MOUNTS = Path("/proc/self/mounts")
NETWORK = frozenset({
    "afs", "beegfs", "ceph", "cifs", "coda", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs3",
    "nfs4", "ocfs2", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "wekafs",
    "fuse.alluxio-fuse", "fuse.blobfuse2", "fuse.ceph-fuse", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys",
    "fuse.juicefs", "fuse.lizardfs", "fuse.mfs", "fuse.mount-s3", "fuse.rclone", "fuse.s3fs", "fuse.sshfs",
})  # fmt: skip


def on_network(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Return whether a folder, which need not exist, is on a network's file system, by a table of mounts.

    False where there is no such table.
    """
    path = Path(os.path.realpath(folder))
    found = [(len(point.parts), kind) for point, kind in _mounted(mounts) if path.is_relative_to(point)]
    kind = max(found, key=lambda item: item[0])[1] if found else ""
    return kind in NETWORK


def _mounted(mounts: Path) -> Iterator[tuple[Path, str]]:
    """Yield each mount's point and kind, in their order, of which the last on one point counts."""
    try:
        lines = os.fsdecode(mounts.read_bytes()).splitlines()
    except OSError:
        return
    points = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 2:
            point = re.sub(r"\\([0-7]{3})", lambda escape: chr(int(escape[1], 8)), fields[1])  # a space is \040
            points[point] = fields[2]
    for point, kind in points.items():
        yield Path(point), kind
