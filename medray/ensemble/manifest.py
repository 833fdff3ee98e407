"""An ensemble's folder: the members' weights, and the manifest that says what they are."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any

from medray import __version__
from medray.decisions.conformal import ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.candidates import Member
from medray.ensemble.ood_file import copy_novelty
from medray.ensemble.selection import Way
from medray.errors import RunError, WeightsError
from medray.runs.folder import Folder, read_checked
from medray.runs.rundir import RunDir
from medray.space.preparation import ASPECTS

FORMAT = 4
MANIFEST = "manifest.json"
MEMBER = ("trial", "fold", "file", "sha256", "weight", "config")


def ensemble_folder(location: str) -> Folder:
    """The ensemble's folder of a run, or `location` itself where it is one.

    Raises:
        RunError: it is neither.
    """
    for folder in (RunDir(location).ensemble, Folder(location)):
        if folder.exists(MANIFEST):
            return folder
    raise RunError(f"{location} is neither a run with an ensemble nor an ensemble: it has no {MANIFEST}")


def read_manifest(home: Folder) -> dict[str, Any]:
    """Return an ensemble's manifest.

    Raises:
        RunError: it is missing or damaged, or of another format.
    """
    if not home.exists(MANIFEST):
        raise RunError(f"{home.location} is no ensemble: it has no {MANIFEST}")
    manifest = home.read_json(MANIFEST)
    written = manifest.get("format") if isinstance(manifest, dict) else None
    if written != FORMAT:
        raise RunError(f"{home.path(MANIFEST)} is of format {written!r}; this medray reads {FORMAT}")
    _check(home.path(MANIFEST), manifest)
    return dict(manifest)


def _check(name: str, manifest: dict[str, Any]) -> None:
    """Check that what is read of a manifest is there, and of the right kind."""
    lists = ("class_names", "image_shape", "members", "operating_points", "conformal_sets")
    for key in lists:
        if not isinstance(manifest.get(key), list):
            raise RunError(f"{name} is damaged: '{key}' is no list")
    for key in ("data", "chosen_on"):
        if not isinstance(manifest.get(key), dict):
            raise RunError(f"{name} is damaged: '{key}' is no mapping")
    for key in ("image_aspect", "novelty", "medray", "way", "intended_use"):
        if key not in manifest:
            raise RunError(f"{name} is damaged: it has no '{key}'")
    if manifest["image_aspect"] not in ASPECTS:
        raise RunError(f"{name} is damaged: 'image_aspect' is {manifest['image_aspect']!r:.40}")
    novelty = manifest["novelty"]
    if novelty is not None and not (isinstance(novelty, dict) and {"file", "sha256"} <= set(novelty)):
        raise RunError(f"{name} is damaged: its 'novelty' names no file")
    temperature = manifest.get("temperature")
    if not isinstance(temperature, int | float) or not 0 < temperature < math.inf:
        raise RunError(f"{name} is damaged: 'temperature' is {temperature!r:.40}, not a number above 0")
    for member in manifest["members"]:
        lacking = [key for key in MEMBER if not isinstance(member, dict) or key not in member]
        if lacking:
            raise RunError(f"{name} is damaged: a member has no '{lacking[0]}'")
        if not isinstance(member["weight"], int | float) or not 0 < member["weight"] < math.inf:
            raise RunError(f"{name} is damaged: a member's weight is {member['weight']!r:.40}")
    if not manifest["members"] or len(manifest["image_shape"]) != 3:
        raise RunError(f"{name} is damaged: it has no members, or no height, width and channels")


def check_files(home: Folder) -> None:
    """Check that every file of an ensemble is the one that its manifest describes.

    Raises:
        RunError: there is no manifest, or it is damaged.
        WeightsError: a file is missing, or another one.
    """
    manifest = read_manifest(home)
    files = [*manifest["members"], *([manifest["novelty"]] if manifest["novelty"] else [])]
    for one in files:
        read_checked(home, one["file"], one["sha256"])


def write_ensemble(
    run: RunDir, way: Way, *, data: dict[str, Any], metric: str, points: Sequence[OperatingPoint] = (),
    conformal: Sequence[ConformalSets] = (),
) -> dict[str, Any]:  # fmt: skip
    """Write the ensemble's folder and return its manifest.

    An ensemble that was there stays as it was until the manifest of the new one, which is written last; then
    members that only the old one had are deleted.

    Raises:
        WeightsError: a member's weights are missing or damaged.
        RunError: a member's settings are.
    """
    home = run.ensemble
    members = [_write_member(home, member, weight) for member, weight in way.members]
    manifest = {
        "format": FORMAT,
        "medray": __version__,
        "class_names": data["class_names"],
        "image_shape": data["shape"],
        "image_aspect": data["aspect"],
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
        "novelty": copy_novelty(run, home),
        "data": {key: data[key] for key in ("source", "fingerprint", "splits")},
        "intended_use": "research; not for diagnosis",
        "members": members,
    }
    home.write_json(MANIFEST, manifest)
    for name in home.child("members").names():
        if f"members/{name}" not in {member["file"] for member in members}:
            home.child("members").delete(name)
    return manifest


def _write_member(home: Folder, member: Member, weight: float) -> dict[str, Any]:
    from safetensors import SafetensorError, deserialize  # not medray.training's: that would import torch

    record, folder = member.record, member.folder
    name = folder.path(folder.WEIGHTS)
    try:
        content = folder.read(folder.WEIGHTS)
        deserialize(content)
    except FileNotFoundError:
        raise WeightsError(f"{name} is missing") from None
    except SafetensorError as error:
        raise WeightsError(f"{name} is damaged: {error}") from None
    config = folder.read_json(folder.CONFIG)
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
        "config": config,
    }
