"""What init writes for any counts and sizes: a valid search space that fits the data, or one line that says why not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.config import TrainConfig
from medray.errors import ConfigError, MedrayError
from medray.init.proposal import StudyProposal, propose_study
from medray.init.writer import write
from medray.space.combinations import check_combinations
from medray.space.loading import parse
from medray.space.search_space import SearchSpace
from medray.training.augment import check_pipeline
from medray.training.models import MODELS
from tests.init.surveys import survey


class Draws:
    """A chooser that takes what hypothesis draws."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self.data.draw(st.sampled_from(list(choices)), label=name)

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        return self.data.draw(st.floats(low, high), label=name)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high), label=name)


sides = st.one_of(st.integers(1, 70), st.integers(1, 5000))
surveys = st.fixed_dictionaries(
    {"counts": st.dictionaries(st.text(min_size=1), st.integers(1, 40), min_size=1, max_size=12)},
    optional={
        "sizes": st.lists(st.tuples(sides, sides), min_size=1, max_size=4),
        "colours": st.sampled_from([(1,), (3,), (1, 3)]),
        "broken": st.integers(0, 30),
        "blank": st.integers(0, 30),
        "several": st.integers(0, 30),
        "splits": st.sampled_from([("train", "test"), ("train", "val"), ("train", "train", "val", "test")]),
        "per_patient": st.integers(1, 20),
    },
)


@settings(max_examples=60, deadline=None)
@given(facts=surveys, name=st.from_regex(r"\w[\w.-]{0,20}", fullmatch=True), data=st.data())
def test_what_is_written_is_valid_and_fits_the_data(facts: dict[str, Any], name: str, data: st.DataObject) -> None:
    seen = survey(**facts)
    try:
        proposal = propose_study(name, "folder:/scans of #1: all", seen)
    except MedrayError:
        return
    space = parse(write(proposal), "x.yaml")
    assert (space.name, space.data) == (name, "folder:/scans of #1: all")
    assert_fits(space, proposal)
    config = space.config(space.draw(Draws(data)), seed=0, max_epochs=space.budget.max_epochs)
    assert isinstance(config, TrainConfig)
    for baseline in space.baselines:
        space.config({}, seed=0, max_epochs=2, baseline=baseline)


def assert_fits(space: SearchSpace, proposal: StudyProposal) -> None:
    kept, (height, width, channels) = proposal.kept, proposal.shape
    assert len(kept.class_names) >= 2
    assert all(kept.in_split(split).any() for split in ("train", "val", "test"))
    assert None not in kept.splits
    assert kept.measures.readable.all()
    assert max(height, width) <= 224 or not proposal.survey.from_files
    assert channels == space.preparation.images.channels
    assert all(size <= proposal.train_count for _, size in space.values_of("batch_size"))
    if space.metric == "auc" and space.task == "single":
        assert len(kept.class_names) == 2
    with torch.device("meta"):
        for _, backbone in space.values_of("backbone"):
            if backbone in MODELS:
                MODELS[backbone]((height, width, channels), len(kept.class_names), 0.1)
    check_combinations(space, 2)
    patients = {
        patient: split for patient, split in zip(kept.patients, kept.splits, strict=True) if patient is not None
    }
    if not proposal.survey.split_names:
        assert all(
            patients.get(patient, split) == split
            for patient, split in zip(kept.patients, kept.splits, strict=True)
        )


@pytest.mark.parametrize("name", ["123", "true", "null", "1e5", "0x1F", "2020-01-01", "_", "Größe", "a.b-c"])
def test_any_name_stays_text(name: str) -> None:
    text = write(propose_study(name, "folder:/x", survey({"a": 9, "b": 9})))
    assert parse(text, "x.yaml").name == name


@pytest.mark.parametrize(("size", "colours"), [((1, 1), 1), ((20, 30), 3), ((480, 640), 1), ((900, 900), 3)])
def test_pipelines_take_such_images(size: tuple[int, int], colours: int) -> None:
    proposal = propose_study("x", "folder:/x", survey({"a": 9, "b": 9}, sizes=[size], colours=[colours]))
    space = parse(write(proposal), "x.yaml")
    assert len(space.transforms) == (5 if colours == 3 else 4)
    for pipeline in space.transforms.values():
        check_pipeline(pipeline, proposal.shape)


def test_the_lines_for_published_weights_can_take_the_place_of_the_one_above() -> None:
    text = write(propose_study("x", "folder:/x", survey({"a": 90, "b": 90}, sizes=[(300, 300)])))
    lines = text.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("  backbone:"))
    hidden = [
        index for index in range(start, start + 8) if lines[index].lstrip("# ").startswith(("back", "pre", "- {"))
    ]
    for index in hidden[1:4]:
        lines[index] = lines[index].replace("# ", "", 1)
    del lines[start]
    space = parse("\n".join(lines), "x.yaml")
    drawn = {parameter.name: parameter for parameter in space.parameters}
    assert drawn["pretrained"].when == {"backbone": ("resnet18", "efficientnet_b0")}


def lines_of(text: str, key: str) -> str:
    """A key's line with the comment above it."""
    lines = text.splitlines()
    index = next(index for index, line in enumerate(lines) if line.strip().startswith(f"{key}:"))
    return " ".join(line.strip() for line in lines[index - 1 : index + 1])


def written(**facts: Any) -> tuple[dict[str, Any], str]:
    text = write(propose_study("x", "folder:/x", survey(**facts)))
    return yaml.safe_load(text), text


@pytest.mark.parametrize(
    ("counts", "metric", "why"),
    [
        ({"a": 100, "b": 20}, "auc", "a (60 in train) and b (12)"),
        ({"a": 100, "b": 90, "c": 100}, "accuracy", "from b (54) to a (60 in train)"),
        ({"a": 100, "b": 90, "c": 10}, "f1_macro", "a (60 in train) is 10.0 times as large as c (6)"),
    ],
)
def test_the_objective_by_the_classes(counts: dict[str, int], metric: str, why: str) -> None:
    made, text = written(counts=counts)
    assert made["objective"] == {"metric": metric}
    assert why in lines_of(text, "metric")
    assert ("class_balance" in made["space"]) == (max(counts.values()) > 2 * min(counts.values()))


@pytest.mark.parametrize("names", [("a", "b", "c"), ("grade 0", "grade 1", "grade 2")], ids=" ".join)
def test_the_objective_is_the_metric_that_was_asked_for(names: tuple[str, ...]) -> None:
    proposal = propose_study("x", "folder:/x", survey(dict.fromkeys(names, 24)))
    assert parse(write(replace(proposal, metric="log_loss")), "x.yaml").metric == "log_loss"


@pytest.mark.parametrize(
    ("counts", "metric"), [({"a": 24, "b": 24, "c": 24}, "quadratic_kappa"), ({"a": 24, "b": 24}, "auc_micro")]
)
def test_a_metric_of_another_task_is_one_line(counts: dict[str, int], metric: str) -> None:
    proposal = propose_study("x", "folder:/x", survey(counts))
    with pytest.raises(ConfigError, match=f"task 'single' has no {metric}; it is of `task: "):
        write(replace(proposal, metric=metric))


@pytest.mark.parametrize(
    ("sizes", "size", "aspect"),
    [
        ([(28, 28)], 28, None),
        ([(100, 101)], [100, 101], None),
        ([(480, 640)], [168, 224], None),
        ([(480, 640), (640, 480), (480, 640)], [168, 224], "pad"),
        ([(1000, 1000), (1020, 1000)], 224, None),
        ([(3000, 100)], [224, 16], "pad"),
        ([(60, 60), (70, 70)], 64, None),
    ],
)
def test_the_size_by_the_files(sizes: list[tuple[int, int]], size: object, aspect: str | None) -> None:
    made, _ = written(counts={"a": 30, "b": 30}, sizes=sizes)
    assert made["images"]["image_size"] == size
    assert made["images"].get("aspect") == aspect


def test_what_can_not_be_used_is_dropped_and_counted_only_where_there_is_such() -> None:
    made, text = written(counts={"a": 30, "b": 30, "c": 2}, broken=3, blank=2, several=3)
    assert made["labels"] == {"blank": "drop", "multiple": "drop", "min_count": 6}
    assert made["images"]["unreadable"] == "drop"
    assert "2 images without a label" in lines_of(text, "blank")
    assert "3 images with several labels, such as a, b" in lines_of(text, "multiple")
    assert "c (2)" in lines_of(text, "min_count")
    assert "3 files can't be read, the first 0.png: the file ends too early" in lines_of(text, "unreadable")
    clean, _ = written(counts={"a": 30, "b": 30})
    assert "labels" not in clean
    assert clean["images"] == {"image_size": 64, "channels": 1}


def test_a_class_whose_files_can_not_be_read_is_left_out_by_its_count_before() -> None:
    made, text = written(counts={"a": 9, "b": 30, "c": 30}, broken=7)
    assert made["labels"] == {"min_count": 10}
    assert "a (9)" in lines_of(text, "min_count")


def test_few_patients_are_divided_all_the_same() -> None:
    proposal = propose_study("x", "folder:/x", survey({"a": 12, "b": 12}, per_patient=6))
    assert all(proposal.kept.in_split(split).sum() for split in ("train", "val", "test"))
    assert yaml.safe_load(write(proposal))["splits"] == {"val": 0.25, "test": 0.25}


def test_splits_are_taken_where_the_source_has_none_and_by_patient() -> None:
    made, text = written(counts={"a": 200, "b": 200}, per_patient=4)
    assert made["splits"] == {"val": 0.15, "test": 0.15}
    assert "by class and patient, no one of 100 patients in two splits" in lines_of(text, "val")
    half, _ = written(counts={"a": 200, "b": 200}, splits=("train", "test"))
    assert half["splits"] == {"val": 0.15}
    named, _ = written(counts={"a": 200, "b": 200}, splits=("train", "val", "test"))
    assert "splits" not in named


def test_no_flips_where_a_class_is_of_one_side() -> None:
    made, text = written(counts={"kidney-left": 20, "kidney-right": 20, "upright": 20}, colours=[3])
    assert sorted(made["transforms"]) == ["exposed", "mild"]
    assert "No flips: they would turn kidney-left, kidney-right into the other side's." in text.replace(
        "\n# ", " "
    )


def test_more_images_search_larger_networks() -> None:
    few, _ = written(counts={"a": 300, "b": 300}, sizes=[(256, 256)])
    many, _ = written(counts={"a": 3000, "b": 3000}, sizes=[(256, 256)])
    assert "resnet18" not in few["space"]["backbone"]["choice"]
    assert "resnet18" in many["space"]["backbone"]["choice"]
    assert max(few["space"]["batch_size"]["choice"]) <= max(many["space"]["batch_size"]["choice"])


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"counts": {"a": 2, "b": 2}}, "no two classes of 3 readable images, one for each split: a (2), b (2)"),
        ({"counts": {"a": 9, "b": 9}, "broken": 18}, "none of its 18 images can be read (first: 0.png"),
        ({"counts": {}, "blank": 5}, "none of its 5 images has one label"),
        ({"counts": {"a": 9, "b": 9}, "per_patient": 18}, "1 patient can't be divided into 3 splits"),
    ],
)
def test_what_can_not_be_a_study_is_one_line(facts: dict[str, Any], why: str) -> None:
    with pytest.raises(MedrayError) as caught:
        propose_study("x", "folder:/x", survey(**facts))
    assert why in str(caught.value)
    assert "\n" not in str(caught.value)
