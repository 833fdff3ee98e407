"""Where init proposes the task of several labels, its section labels, and the way back to one class each."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medray.audit.survey import Survey
from medray.data.label_sets import has_label_sets
from medray.data.labels import choose_labels
from medray.data.listing.listing import ListedImage, Listing
from medray.init.init_command import begin
from medray.init.proposal import StudyProposal, propose_study
from medray.init.writer import write
from medray.space.loading import parse
from medray.space.search_space import SearchSpace
from tests.audit.audit_samples import blobs, encoded
from tests.init.surveys import measures, survey

Sets = Sequence[tuple[str, ...]]
FINDINGS: Sets = [("Edema",), ("Edema", "Mass"), ("Mass",), ("No Finding",), ("No Finding",)] * 24


def of_sets(
    sets: Sets, splits: Sequence[str | None] = (None,), patients: Sequence[str | None] = (None,), **changes: object
) -> Survey:
    count = len(sets)
    seen = Survey(
        source="csv:t.csv",
        from_files=True,
        names=tuple(f"line {i}" for i in range(count)),
        labels=tuple(sets),
        splits=tuple(np.resize(np.array(splits, dtype=object), count)),
        patients=tuple(np.resize(np.array(patients, dtype=object), count)),
        class_names=tuple(sorted({name for names in sets for name in names})),
        measures=measures(count),
        label_sets=has_label_sets(sets),
    )
    return replace(seen, **changes)  # type: ignore[arg-type]


def proposed(seen: Survey) -> tuple[StudyProposal, SearchSpace, str]:
    proposal = propose_study("x", "csv:t.csv", seen)
    text = write(proposal)
    comment = " ".join(line.strip("# ") for line in text.splitlines())
    return proposal, parse(text, "x.yaml"), comment


def test_several_labels_are_kept_and_the_one_that_means_none_is_named() -> None:
    proposal, space, comment = proposed(of_sets(FINDINGS))
    assert (space.task, space.metric) == ("several", "auc")
    assert space.preparation.labels.none == "No Finding"
    assert space.preparation.labels.multiple == "fail"
    assert proposal.kept.class_names == ("Edema", "Mass")
    assert len(proposal.kept) == len(FINDINGS)
    assert proposal.class_counts() == {"Edema": 48, "Mass": 48}
    assert Counter(proposal.kept.labels) == {("Edema",): 24, ("Edema", "Mass"): 24, ("Mass",): 24, (): 48}
    assert "24 of 120 images have several labels, such as Edema, Mass" in comment
    assert "`task: single`" in comment
    assert "48 images of no label; it never stands beside another" in comment
    for baseline in space.baselines:
        assert space.config({}, seed=0, max_epochs=2, baseline=baseline).task == "several"


@pytest.mark.parametrize(("bare", "rules"), [(0, "{ multiple: drop }"), (9, "{ blank: drop, multiple: drop }")])
def test_the_way_back_is_as_the_comment_says(bare: int, rules: str) -> None:
    seen = of_sets([*FINDINGS, *[()] * bare], class_columns=True)
    text = write(propose_study("x", "csv:t.csv", seen))
    assert f"`labels: {rules}`" in " ".join(line.strip("# ") for line in text.splitlines())
    text = re.sub(r"labels:\n(  .*\n)+", f"labels: {rules}\n", text.replace("task: several", "task: single"))
    space = parse(text, "x.yaml")
    assert space.task == "single"
    images = tuple(
        ListedImage(Path(name), name, labels) for name, labels in zip(seen.names, seen.labels, strict=True)
    )
    labelled = choose_labels(Listing("csv:t.csv", Path(), images, class_columns=True), space.preparation.labels)
    assert len(labelled.positions) == 96


def test_a_label_that_means_none_beside_others_is_kept_and_said() -> None:
    proposal, space, comment = proposed(
        of_sets([*FINDINGS, ("No Finding", "Support Devices"), *[("Support Devices",)] * 9])
    )
    assert space.preparation.labels.none is None
    assert "No Finding" in proposal.kept.class_names
    assert (
        "'No Finding' means none by its name, but stands beside others in 1 image, such as Support Devices"
        in comment
    )
    assert "{leave_out: [No Finding]}" in comment


def test_labels_that_are_too_rare_for_every_split_are_left_out() -> None:
    rare: Sets = [*FINDINGS, ("Hernia",), ("Hernia", "Mass"), *[("Nodule", "Mass")] * 9]
    patients = [str(i) for i in range(len(FINDINGS) + 2)]
    _, space, comment = proposed(of_sets(rare, patients=[*patients, *["one"] * 9]))
    assert space.preparation.labels.min_count == 6
    assert "labels with fewer images are too small to be split: Hernia (2)" in comment
    assert space.preparation.labels.leave_out == ("Nodule",)
    assert "has no Nodule (9 in all), so no model could be measured on it" in comment
    assert "An image of labels that are left out counts as one without them." in comment


def test_labels_that_a_split_of_the_source_lacks_are_left_out_unless_it_is_test() -> None:
    splits = ("train", "train", "train", "val", "test")
    sets: list[tuple[str, ...]] = []
    for number in range(200):
        names = [("a",), ("b",), ("a", "b"), ()][number // 5 % 4]
        more = ("no_val",) if number % 5 in (0, 4) else ("no_test",) if number % 5 in (1, 3) else ()
        sets.append((*names, *more))
    proposal, space, comment = proposed(of_sets(sets, splits, class_columns=True))
    assert space.preparation.labels.leave_out == ("no_val",)
    assert "val has no no_val (80 in all)" in comment
    assert proposal.kept.class_names == ("a", "b", "no_test")
    assert proposal.absent_classes("test") == ["test has no no_test"]


def test_rows_that_say_nothing_are_dropped_and_uncertain_labels_stay_uncertain() -> None:
    sets = [*FINDINGS, *[()] * 5]
    uncertain = [("Mass",) if i % 10 == 0 and i < 120 else () for i in range(len(sets))]
    seen = of_sets(sets, uncertain=tuple(uncertain), unlabelled=tuple(range(120, 125)), class_columns=True)
    proposal, space, comment = proposed(seen)
    assert space.preparation.labels.blank == "drop"
    assert "5 images of which the table says nothing; or `none`, if that means no label" in comment
    assert len(proposal.kept) == 120
    assert sum(map(len, proposal.kept.uncertain)) == 12
    assert (proposal.kept.answers() == -1).sum() == 12


def test_a_few_images_of_several_labels_are_dropped_with_the_way_to_keep_them() -> None:
    text = write(propose_study("x", "csv:t.csv", survey({"a": 40, "b": 40}, several=3)))
    assert parse(text, "x.yaml").task == "single"
    assert "or all, by `task: several`" in " ".join(line.strip("# ") for line in text.splitlines())


@pytest.mark.parametrize("form", ["columns", "cells", "npz"])
def test_init_reads_each_form_of_several_labels(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from rich.console import Console

    rng = np.random.default_rng(0)
    labels = (rng.random((60, 3)) < 0.4).astype(int)
    names = ["Edema", "Mass", "Nodule"]
    images = blobs(60, size=32)
    if form == "npz":
        parts = {f"{s}_{k}": v[p] for s, p in (("train", slice(40)), ("val", slice(40, 50)), ("test", slice(50, 60)))
                 for k, v in (("images", images), ("labels", labels))}  # fmt: skip
        np.savez(tmp_path / "films.npz", class_names=np.array(names), **parts)
        source = str(tmp_path / "films.npz")
    else:
        for number, image in enumerate(images):
            (tmp_path / f"{number}.png").write_bytes(encoded(image))
        cells = [[names[k] for k in np.flatnonzero(row)] for row in labels]
        header = "file," + (",".join(names) if form == "columns" else "label")
        rows = [
            f"{i}.png,{','.join(map(str, row)) if form == 'columns' else '|'.join(names_of) or 'normal'}"
            for i, (row, names_of) in enumerate(zip(labels, cells, strict=True))
        ]
        (tmp_path / "t.csv").write_text("\n".join([header, *rows]) + "\n")
        source = f"csv:{tmp_path}/t.csv"
    path = begin("films", source, str(tmp_path / "films.yaml"), Console(width=200))
    space = parse(path.read_text(), "films.yaml")
    assert space.task == "several"
    assert space.preparation.labels.none == ("normal" if form == "cells" else None)
    shown = capsys.readouterr().out
    several = int((labels.sum(axis=1) > 1).sum())
    assert f"task: several, as {several} of 60 images have several labels" in shown
    assert f"labels an image: none {(labels.sum(axis=1) == 0).sum()}, " in shown
    assert "with 3 labels" in shown
