"""Runs whose ensembles of untrained networks answer by case, of one class or of several labels."""

from pathlib import Path

from medray.ensemble.manifest import Manifest
from medray.runs.rundir import MANIFEST, RunDir
from medray.stats.case_rule import CLASSES, LABEL_SETS, MAX, MEAN, NOISY_OR, CaseRule
from tests.serving.conftest import write_run
from tests.serving.label_run import write_label_run

RULES = [
    CaseRule("patient", MEAN, CLASSES),
    CaseRule("patient", MAX, CLASSES, normal=1),
    CaseRule("exam", NOISY_OR, LABEL_SETS),
]


def write_case_run(folder: Path, npz: Path, rule: CaseRule) -> Path:
    """Write the run of 12 × 12 grey images like those of `npz`, whose ensemble has this rule."""
    (write_label_run if rule.kind == LABEL_SETS else write_run)(folder, npz)
    ensemble = RunDir(str(folder)).ensemble
    manifest = ensemble.read_json(MANIFEST)
    ensemble.write_json(MANIFEST, manifest | {"cases": rule.to_dict()})
    assert Manifest.from_dict(ensemble.read_json(MANIFEST)).cases == rule
    return folder
