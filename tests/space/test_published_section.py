"""What a report has published of a space's baselines: read, refused, and without weight in any training."""

from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.errors import ConfigError
from medray.space.loading import load_space, parse
from medray.space.published import FIGURES, MEASURED_ON, POSITIVE_CLASS_METRICS, Figure
from medray.space.shipped import shipped_spaces
from medray.stats.score_names import MODES

SPACE = """\
name: mine
data: phantom
objective: {metric: auc}
budget: {trials: 8, max_epochs: 6, grace_epochs: 2, reduction_factor: 2, patience: 3}
space: {learning_rate: {log: [0.0001, 0.01]}}
baselines:
  plain: &plain {learning_rate: 0.001}
  fast: {<<: *plain, learning_rate: 0.01}
"""
PUBLISHED = """\
published:
  report: Lee et al. 2024
  data: OrganSMNIST
  source: medmnist:organsmnist
  images: {val: 10, test: 20}
  positive: liver
  note: a note
  figures:
    plain: {val: {accuracy: 0.5, log_loss: 1.5}, test: {f1_positive: 1}}
    both: {average_of: [plain, fast], folds: {auc: {mean: 0.9, sd: 0.02}, accuracy: 0.8}}
"""


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "mine.yaml")
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_figures_are_those_that_an_evaluation_measures() -> None:
    assert set(FIGURES) == set(MODES) | set(POSITIVE_CLASS_METRICS)


def test_a_section_is_read_whole() -> None:
    published = parse(SPACE + PUBLISHED, "mine.yaml").published
    assert published is not None
    plain, both = published.models
    assert (published.report, published.source, published.positive) == (
        "Lee et al. 2024",
        "medmnist:organsmnist",
        "liver",
    )
    assert published.images == {"val": 10, "test": 20}
    assert plain.figures == {
        "val": {"accuracy": Figure(0.5), "log_loss": Figure(1.5)},
        "test": {"f1_positive": Figure(1.0)},
    }
    assert (plain.average_of, both.average_of) == ((), ("plain", "fast"))
    assert both.figures == {"folds": {"auc": Figure(0.9, 0.02), "accuracy": Figure(0.8)}}


def test_it_may_be_left_out_and_a_report_may_give_no_figures() -> None:
    assert parse(SPACE, "mine.yaml").published is None
    without = parse(SPACE + "published: {report: a, data: b}\n", "mine.yaml").published
    assert without is not None
    assert without.models == ()


def test_nothing_that_is_trained_depends_on_it() -> None:
    plain, told = parse(SPACE, "mine.yaml"), parse(SPACE + PUBLISHED, "mine.yaml")
    assert told != plain
    assert told.trained() == plain.trained()
    assert told.config({}, seed=3, max_epochs=5, baseline="fast") == plain.config(
        {}, seed=3, max_epochs=5, baseline="fast"
    )
    assert parse(SPACE.replace("0.01]", "0.02]"), "mine.yaml").trained() != plain.trained()


NOTE, PLAIN = "  note: a note\n", "    plain: {"
REFUSALS: list[tuple[str, str, list[str]]] = [
    ("  report: Lee et al. 2024\n", "", ["published: lacks 'report'"]),
    ("report: Lee et al. 2024", "report: 2024", ["published.report: 2024 is not text"]),
    ("report: Lee et al. 2024", "report: ' '", ["published.report: is empty"]),
    ("  data: O", "  dta: O", ["published.dta: unknown key 'dta'", "did you mean 'data'?"]),
    (NOTE, "  images: []\n", ["the key 'images' is written twice"]),
    ("{val: 10, test: 20}", "[10, 20]", ["published.images: must be a table"]),
    ("{val: 10, test: 20}", "{valid: 10}", ["published.images.valid: unknown key 'valid' (did you mean 'val'?)"]),
    ("{val: 10, test: 20}", "{val: 0}", ["published.images.val: 0 is not a whole number of 1 or more"]),
    (PLAIN, "    plian: {", ["published.figures.plian: unknown baseline 'plian' (did you mean 'plain'?)", "average_of"]),
    ("plain: {val:", "plain: {validation:", ["published.figures.plain.validation: unknown key", "valid: "]),
    ("plain: {val:", "plain: {trian:", ["unknown key 'trian' (did you mean 'train'?)", "folds, test, train, val"]),
    ("accuracy: 0.5", "acuracy: 0.5", ["figures.plain.val.acuracy: unknown metric", "did you mean 'accuracy'?"]),
    ("accuracy: 0.5", "f1: 0.5", ["figures.plain.val.f1: unknown metric 'f1'", "f1_positive", "f1_weighted"]),
    ("accuracy: 0.5", "accuracy: 50", ["figures.plain.val.accuracy: 50.0 is not a number from 0 to 1"]),
    ("accuracy: 0.5", "accuracy: 50%", ["figures.plain.val.accuracy: '50%' is not a number from 0 to 1"]),
    ("log_loss: 1.5", "log_loss: -1", ["figures.plain.val.log_loss: -1.0 is not a number of 0 or more"]),
    ("accuracy: 0.5", "accuracy: {mean: 0.5, sd: 0.1}", ["figures.plain.val.accuracy: {'mean'"]),
    ("  positive: liver\n", "", ["figures.plain.test.f1_positive: needs published.positive"]),
    ("{f1_positive: 1}", "{}", ["published.figures.plain.test: has no figures"]),
    ("[plain, fast]", "[plain]", ["figures.both.average_of: must be a list of at least two baselines"]),
    ("[plain, fast]", "[plain, fst]", ["average_of: unknown baseline 'fst' (did you mean 'fast'?)"]),
    ("[plain, fast]", "[plain, plain]", ["average_of: names a baseline twice"]),
    ("    both:", "    fast:", ["published.figures.fast: 'fast' is a baseline", "a name of its own"]),
    ("sd: 0.02", "std: 0.02", ["figures.both.folds.auc.std: unknown key 'std'"]),
    (", sd: 0.02", "", ["figures.both.folds.auc: lacks 'sd'"]),
    ("mean: 0.9", "mean: 9", ["figures.both.folds.auc.mean: 9.0 is not a number from 0 to 1"]),
    (", folds: {auc: {mean: 0.9, sd: 0.02}, accuracy: 0.8}", "", ["figures.both: has no figures: it needs one of"]),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "fragments"), REFUSALS, ids=[new.strip()[:60] for _, new, _ in REFUSALS])
def test_a_mistake_is_named_in_one_line(old: str, new: str, fragments: list[str]) -> None:
    assert PUBLISHED.count(old) == 1
    message = refusal(SPACE + PUBLISHED.replace(old, new))
    assert message.startswith("mine.yaml: ")
    for fragment in fragments:
        assert fragment in message


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(FIGURES)), st.sampled_from(MEASURED_ON), st.floats(-1, 3) | st.integers(-1, 3))
def test_a_figure_is_what_its_metric_can_be_or_is_refused(metric: str, split: str, value: float) -> None:
    section: dict[str, Any] = {"report": "a", "data": "b", "positive": "c"}
    section["figures"] = {"plain": {split: {metric: value}}}
    text = SPACE + yaml.safe_dump({"published": section})
    top = {"log_loss": 3.0, "brier": 2.0}.get(metric, 1.0)
    if 0 <= value <= top:
        published = parse(text, "mine.yaml").published
        assert published is not None
        assert published.models[0].figures == {split: {metric: Figure(float(value))}}
    else:
        assert f"published.figures.plain.{split}.{metric}: " in refusal(text)


@pytest.mark.parametrize("name", shipped_spaces())
def test_a_shipped_space_names_its_report(name: str) -> None:
    published = load_space(name).published
    assert published is not None
    assert published.report
    assert {model.name for model in published.models if not model.average_of} <= set(load_space(name).baselines)


def test_the_organs_figures_agree_with_themselves() -> None:
    """Recall weighted by class is accuracy: a figure that was mistyped would show."""
    published = load_space("organs").published
    assert published is not None
    whole = [own for model in published.models for own in model.figures.values() if "recall_weighted" in own]
    assert len(whole) == 18  # six steps, on train, validation and test
    for own in whole:
        assert own["recall_weighted"] == own["accuracy"]
    test = [model.figures["test"]["accuracy"].mean for model in published.models if "test" in model.figures]
    assert test == [0.680, 0.685, 0.731, 0.738, 0.765, 0.811]


def test_what_is_published_changes_no_training() -> None:
    space = parse(SPACE, "run/space.yaml")
    assert parse("# more words\n" + SPACE + PUBLISHED, "mine.yaml").trained() == space.trained()
    longer = SPACE.replace("max_epochs: 6", "max_epochs: 7")
    assert parse(longer + PUBLISHED, "mine.yaml").trained() != space.trained()
