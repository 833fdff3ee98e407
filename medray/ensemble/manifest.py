"""An ensemble's folder: the members' weights, and the manifest that says what they are."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from medray import __version__
from medray.ensemble.candidates import Member
from medray.ensemble.ways import Way
from medray.errors import RunError
from medray.operating.conformal import ConformalSets
from medray.operating.points import OperatingPoint
from medray.runs import RunDir
from medray.storage import Folder

FORMAT = 2
MANIFEST = "manifest.json"


def read_manifest(home: Folder) -> dict[str, Any]:
    """Return an ensemble's manifest.

    Raises:
        RunError: it is missing or damaged, or of another format.
    """
    if not home.exists(MANIFEST):
        raise RunError(f"{home.location} is no ensemble: it has no {MANIFEST}")
    manifest: dict[str, Any] = home.read_json(MANIFEST)
    if manifest.get("format") != FORMAT:
        raise RunError(
            f"{home.path(MANIFEST)} is of format {manifest.get('format')!r}; this medray reads {FORMAT}"
        )
    return manifest


def write_ensemble(
    run: RunDir, way: Way, *, data: dict[str, Any], metric: str, points: Sequence[OperatingPoint] = (),
    conformal: Sequence[ConformalSets] = (),
) -> dict[str, Any]:  # fmt: skip
    """Write the ensemble's folder and return its manifest.

    An ensemble that was there is replaced: the manifest goes first and comes last.
    """
    home = run.ensemble
    home.delete(MANIFEST)
    home.child("members").delete_all()
    members = [_write_member(home, member, weight) for member, weight in way.members]
    manifest = {
        "format": FORMAT,
        "medray": __version__,
        "class_names": data["class_names"],
        "image_shape": data["shape"],
        "preprocessing": "uint8 / 255; each member then normalises by its own buffers `normalise.mean` and `.std`",
        "averaging": "weighted mean of the members' softmax; then p ** (1 / temperature), made to sum to 1",
        "temperature": way.temperature,
        "way": way.name,
        "chosen_on": {
            "predictions": way.chosen_on,
            "images": len(way.labels),
            "metric": metric,
            "scores": way.calibrated_scores(),
            "scores_before_temperature": way.scores(),
        },
        "operating_points": [point.to_dict() for point in points],
        "conformal_sets": [sets.to_dict() for sets in conformal],
        "data": {key: data[key] for key in ("source", "fingerprint", "splits")},
        "intended_use": "research; not for diagnosis",
        "members": members,
    }
    home.write(MANIFEST, json.dumps(manifest, indent=1, allow_nan=False).encode() + b"\n")
    return manifest


def _write_member(home: Folder, member: Member, weight: float) -> dict[str, Any]:
    record, folder = member.record, member.folder
    content = folder.read(folder.WEIGHTS)
    file = f"members/{member.name}.safetensors"
    home.write(file, content)
    return {
        "trial": record.number,
        "fold": member.fold,
        "baseline": record.baseline,
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "weight": weight,
        "best_epoch": record.best_epoch,
        "scores": record.metrics,
        "config": folder.read_json(folder.CONFIG),
    }
