"""Write an ensemble's folder: the members' weights first, the manifest last."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from medray import __version__
from medray.config import TrainConfig
from medray.decisions.conformal import ConformalSets
from medray.decisions.thresholds import OperatingPoint
from medray.ensemble.candidates import Member
from medray.ensemble.looks_file import copy_looks
from medray.ensemble.manifest import FORMAT, Manifest, ManifestData, MemberFacts, SelectedOn
from medray.ensemble.ood_file import copy_ood
from medray.ensemble.selection import Selection
from medray.errors import WeightsError
from medray.runs.folder import Folder
from medray.runs.run_facts import DataFacts
from medray.runs.rundir import MANIFEST, RunDir
from medray.runs.trunks import complete_weights

MEMBERS = "members"


def write_ensemble(
    run: RunDir, selection: Selection, *, data: DataFacts, metric: str, points: Sequence[OperatingPoint] = (),
    conformal: Sequence[ConformalSets] = (),
) -> Manifest:  # fmt: skip
    """Write the ensemble's folder and return its manifest.

    An ensemble that was there stays as it was until the manifest of the new one, which is written last; then
    members that only the old one had are deleted.

    Raises:
        WeightsError: a member's weights are missing or damaged.
        RunError: a member's settings are.
    """
    folder = run.ensemble
    members = tuple(_write_member(folder, member, weight) for member, weight in selection.members)
    manifest = Manifest(
        format=FORMAT,
        medray=__version__,
        task=selection.task.name,
        class_names=data.class_names,
        image_shape=data.shape,
        image_aspect=data.aspect,
        preprocessing="uint8 / 255; each member then resizes to its `image_size`, if its config has one, and "
        "normalises by its own buffers `normalise.mean` and `.std`",
        averaging=selection.task.averaging,
        cases=selection.cases,
        temperatures=selection.temperatures,
        calibrated_on=selection.calibrated_on,
        strategy=selection.strategy,
        selected_on=SelectedOn(
            predictions=selection.selected_on,
            images=len(selection.labels),
            metric=metric,
            scores=selection.calibrated_scores,
            scores_before_temperature=selection.scores,
        ),
        operating_points=tuple(points),
        conformal_sets=tuple(conformal),
        ood=copy_ood(run, folder),
        looks=copy_looks(run, folder),
        data=ManifestData(data.source, data.fingerprint, data.splits),
        intended_use="research; not for diagnosis",
        members=members,
    )
    folder.write_json(MANIFEST, manifest.to_dict())
    kept = {member.file for member in members}
    for name in folder.child(MEMBERS).names():
        if f"{MEMBERS}/{name}" not in kept:
            folder.child(MEMBERS).delete(name)
    return manifest


def _write_member(ensemble: Folder, member: Member, weight: float) -> MemberFacts:
    from safetensors import SafetensorError, deserialize  # not medray.training's: that would import torch

    record, folder = member.record, member.folder
    content = complete_weights(folder)
    try:
        deserialize(content)
    except SafetensorError as error:
        raise WeightsError(f"{folder.path(folder.WEIGHTS)} is damaged: {error}") from None
    config = folder.read_json(folder.CONFIG)
    file = f"{MEMBERS}/{member.name}.safetensors"
    ensemble.write(file, content)
    return MemberFacts(
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        trial=record.number,
        fold=member.fold,
        baseline=record.baseline,
        weight=weight,
        best_epoch=record.best_epoch,
        scores=record.metrics,
        config=config,
        weights_licence=_licence(config) if config.get("pretrained") or config.get("weights") else None,
    )


def _licence(config: Mapping[str, Any]) -> str | None:
    from medray.training.models.licences import weights_licence  # imports torch and timm

    return weights_licence(TrainConfig.from_dict(config))
