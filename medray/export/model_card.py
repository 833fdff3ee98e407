"""The model card of an exported ensemble: README.md with the front matter that Hugging Face reads.

Its headings are those of Mitchell et al. 2019, "Model Cards for Model Reporting"; the warnings and the figures of
use, fairness and safety are what the Coalition for Health AI asks for beside them. It says what the run's files
say, and of what they do not that it is for people to add.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import yaml

from medray.console_tables import interval
from medray.ensemble.manifest import Manifest
from medray.evaluate.scores_document import PointOnTest, ReadScores
from medray.export.write_onnx import INPUT, OnnxCheck
from medray.runs.run_facts import DataFacts
from medray.stats.bootstrap import Estimate
from medray.stats.case_rule import unit_of
from medray.text import first_names, plural
from medray.training.models.licences import NOT_KNOWN, NOT_STATED, forbids_commerce

MOST_CLASSES = 20
TO_ADD = "*Not known to medray; to be added by those who publish it.*"
#: Hugging Face's names of metrics, by medray's.
HUB_METRICS = {"auc": "roc_auc", "accuracy": "accuracy", "f1_macro": "f1", "log_loss": "log_loss"}


@dataclass(frozen=True)
class CardFacts:
    """What a card says: the study's name, the ensemble, its data, the outputs of the file and its check.

    `scores` are those of the last read of the test split by this very ensemble, None where there is none.
    """

    name: str
    manifest: Manifest
    data: DataFacts
    outputs: Sequence[str]
    check: OnnxCheck
    scores: ReadScores | None

    @property
    def licences(self) -> tuple[str, ...]:
        """The licences of the weights that members began with, each once."""
        return tuple(dict.fromkeys(m.weights_licence for m in self.manifest.members if m.weights_licence))


def card(facts: CardFacts) -> str:
    """Return the card's text."""
    header = yaml.safe_dump(front_matter(facts), sort_keys=False, allow_unicode=True)
    sections = [f"# {facts.name}", "It is for research, not for diagnosis.", *_sections(facts)]
    return f"---\n{header}---\n\n" + "\n\n".join(sections) + "\n"


def front_matter(facts: CardFacts) -> dict[str, object]:
    """Return the values that the Hugging Face hub reads."""
    licences = facts.licences
    known = len(licences) == 1 and licences[0] not in (NOT_KNOWN, NOT_STATED)
    licence = {"license": licences[0]} if known else {
        "license": "other", "license_name": " and ".join(licences) or "to be chosen"
    }  # fmt: skip
    values: dict[str, object] = {
        **licence, "library_name": "onnx", "pipeline_tag": "image-classification",
        "tags": ["medical", "onnx", "medray", facts.manifest.task],
    }  # fmt: skip
    if facts.scores is not None:
        values["metrics"] = [HUB_METRICS[name] for name in HUB_METRICS if name in _ensemble(facts.scores)]
        values["model-index"] = [{"name": facts.name, "results": [_hub_result(facts, facts.scores)]}]
    return values


def _hub_result(facts: CardFacts, scores: ReadScores) -> dict[str, object]:
    measured = _ensemble(scores)
    return {
        "task": {"type": "image-classification"},
        "dataset": {"name": facts.data.source, "type": "custom", "split": "test"},
        "metrics": [
            {"type": HUB_METRICS[name], "name": name, "value": round(float(measured[name].value or 0.0), 4)}
            for name in HUB_METRICS
            if name in measured and measured[name].value is not None
        ],
    }


def _ensemble(scores: ReadScores) -> dict[str, Estimate]:
    return scores.models[0].scores


def _licences(facts: CardFacts) -> str:
    """Return the licences, with those that allow no commercial use; none of networks that began at random."""
    named = [f"{name} (no commercial use)" if forbids_commerce(name) else name for name in facts.licences]
    return ", ".join(named) or "none, as they began with random ones"


def _sections(facts: CardFacts) -> Iterator[str]:
    manifest, data = facts.manifest, facts.data
    unit = unit_of(manifest.cases)
    yield "## Model details"
    yield _bullets(
        f"{plural(len(manifest.members), 'network')}, averaged ({manifest.averaging}): "
        f"{first_names(list(dict.fromkeys(member.train_config.backbone for member in manifest.members)), 8)}",
        f"task: {manifest.task}; classes: {first_names(manifest.class_names, MOST_CLASSES)}",
        f"selected by {manifest.selected_on.metric} on {manifest.selected_on.images:,} "
        f"{manifest.selected_on.predictions} {unit}s ({manifest.strategy})",
        f"made with medray {manifest.medray}",
        f"licences of the weights that networks began with: {_licences(facts)}",
    )
    yield f"Developers, contact, release date, version: {TO_ADD}"
    yield "## Intended use"
    yield manifest.intended_use
    yield f"Users, setting, what it does not replace: {TO_ADD}"
    yield "## How to use it"
    yield _usage(facts)
    yield "## Training data"
    yield _bullets(
        *(
            f"{name}: {plural(split.images, 'image')}" + _counts(split.classes, manifest)
            for name, split in data.splits.items()
        ),
        f"patients: {'not known' if data.patients is None else f'{data.patients:,}'}",
        f"subgroups that are known: {', '.join(data.subgroups) or 'none'}",
        *(f"leak in the data: {leak.text}" for leak in data.leaks),
    )
    yield f"Where and when the images were taken, by which devices, who labelled them: {TO_ADD}"
    yield "## Evaluation"
    yield from _evaluation(facts)
    yield "## Fairness"
    yield (
        "Figures by subgroup are in the run's evaluation." if facts.scores is not None and data.subgroups
        else "No figures by subgroup: the data name no subgroups, or the test split has not been read."
    )  # fmt: skip
    yield "## Warnings"
    yield _bullets(*_warnings(facts))


def _bullets(*lines: str) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _counts(counts: Sequence[int], manifest: Manifest) -> str:
    parts = [f"{name} {count:,}" for name, count in zip(manifest.class_names, counts, strict=True)]
    return f" ({first_names(parts, MOST_CLASSES)})"


def _usage(facts: CardFacts) -> str:
    height, width, channels = facts.manifest.image_shape
    lines = [
        "```python",
        "import numpy as np, onnxruntime",
        'session = onnxruntime.InferenceSession("model.onnx")',
        f"images = np.zeros((1, {height}, {width}, {channels}), dtype=np.uint8)  # as they are stored, 0 to 255",
        f'outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, {{"{INPUT}": images}})))',
        'outputs["probabilities"]  # float32 (1, '
        + f"{len(facts.manifest.class_names)}), of the classes in config.json's order",
        "```",
    ]
    colour = "grey" if channels == 1 else "red, green and blue"
    check = facts.check
    text = (
        f"Input `{INPUT}`: uint8 (n, {height}, {width}, {channels}), {colour}, brought to that size as the images "
        f"of the study were ({facts.manifest.image_aspect}). Each network's resizing and normalisation, the "
        f"average, the temperature, operating points and sets are in the file. Outputs: "
        f"{', '.join(f'`{name}`' for name in facts.outputs)}. Checked against medray on "
        f"{plural(check.images, 'image')}: probabilities differ by at most {check.difference:.1e}, "
        f"{plural(check.decided_otherwise, 'decision')} otherwise."
    )
    return "\n".join(lines) + "\n\n" + text


def _evaluation(facts: CardFacts) -> Iterator[str]:
    scores, manifest = facts.scores, facts.manifest
    if scores is None:
        yield "The test split has not been read for this ensemble: how good it is on new images is not known."
        return
    rows = [f"| {name} | {interval(estimate)} |" for name, estimate in _ensemble(scores).items()]
    yield (
        f"On {scores.images:,} {unit_of(manifest.cases)}s of the test split, which neither trained nor selected "
        f"anything, read on {scores.time}; 95 % intervals."
    )
    yield "\n".join(["| metric | value |", "| --- | --- |", *rows])
    if scores.operating_points:
        yield "Operating points, set before the test split was read:"
        yield _points_table(scores.operating_points)


def _points_table(points: Sequence[PointOnTest]) -> str:
    rows = [
        f"| {point.name} | {point.event.name} | {point.threshold:.4f} | "
        f"{'nothing' if point.promised is None else point.promised} | {interval(point.test.sensitivity)} | "
        f"{interval(point.test.specificity)} |"
        for point in points
    ]
    columns = "| point | positive | from | promised | sensitivity on test | specificity on test |"
    return "\n".join([columns, "| --- | --- | --- | --- | --- | --- |", *rows])


def _warnings(facts: CardFacts) -> Iterator[str]:
    manifest = facts.manifest
    yield "It is not validated for clinical use, is no medical device, and is not to be used for a diagnosis."
    yield "Its figures are of images like the study's: other devices, hospitals and patients may give others."
    if manifest.calibrated_on is None:
        yield "It is not calibrated: its probabilities are not shares."
    if not manifest.operating_points:
        yield "It has no operating point: the likeliest class takes a miss to cost what a false alarm costs."
    if manifest.cases is not None:
        yield (
            "It was made to answer several images as one case; the file answers each image alone, without "
            "decisions, of which nothing is promised."
        )
    if manifest.ood is not None:
        yield "The detector of images unlike the study's is not in the file: medray's service has it."
    yield f"Biases, side effects, who was left out of the data: {TO_ADD}"
