"""Small runs of several labels an image, and of cases: searched, averaged and calibrated in this process."""

from pathlib import Path

import medray
from tests.case_samples import write_case_npz
from tests.label_set_images import write_label_set_npz

BUDGET = """
budget: {trials: 1, max_epochs: 5, grace_epochs: 5, reduction_factor: 2, patience: null}
resources: {cpu: 1, gpu: 0}
space: {learning_rate: {log: [0.008, 0.01]}}
fixed: {backbone: resnet8_small, batch_size: 16}
"""
MARKS = f"""
name: marks
task: several
data: phantom
objective: {{metric: auc}}
splits: {{calibration: 0.3}}
{BUDGET}"""
FILMS = f"""
name: films
data: phantom
objective: {{metric: auc}}
cases: {{by: patient, answer: mean, differing: drop}}
splits: {{calibration: 0.35}}
labels: {{blank: drop}}
images: {{unreadable: drop}}
{BUDGET}"""


def _study(folder: Path, name: str, space: str, data: Path, positive: str | None) -> medray.Study:
    (folder / f"{name}.yaml").write_text(space)
    study = medray.Study(folder / f"{name}.yaml", data=str(data), out=folder / "run", runner="local", quiet=True)
    study.search()
    study.ensemble(sensitivity=0.8, positive=positive, coverages=[0.8])
    return study


def label_set_study(folder: Path) -> medray.Study:
    """Return a study of the labels of `tests.label_set_images`, with an operating point and sets for each."""
    return _study(folder, "marks", MARKS, write_label_set_npz(folder / "marks.npz"), None)


def case_study(folder: Path) -> medray.Study:
    """Return a study of `tests.case_samples` by patients of three images, with an operating point and sets."""
    data = write_case_npz(folder / "films.npz", train=90, val=40, test=40)
    return _study(folder, "films", FILMS, data, "1")
