"""The ladder that init writes where published weights are at hand: valid for any data, cheap rungs first."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medray.config import LBFGS, TrainConfig
from medray.errors import MedrayError, WeightsError
from medray.init.ladder import SIDES, Ladder
from medray.init.print_proposal import describe_published
from medray.init.proposal import StudyProposal, propose_study
from medray.init.published import find_published, with_published
from medray.init.space_sections import ladder
from medray.init.writer import write
from medray.space.loading import parse
from medray.space.search_space import SearchSpace
from tests.init.surveys import survey
from tests.init.test_writer import Draws, surveys

LITE = "tf_efficientnet_lite0"


def proposed(**facts: Any) -> StudyProposal:
    return replace(propose_study("study", "folder:scans", survey(**facts)), published=(LITE, "resnet18"))


def written(**facts: Any) -> SearchSpace:
    return parse(write(proposed(**facts)), "study.yaml")


@settings(max_examples=40, deadline=None)
@given(facts=surveys, data=st.data())
def test_rungs_and_draws_are_trainings_for_any_data(facts: dict[str, Any], data: st.DataObject) -> None:
    try:
        proposal = proposed(**facts)
    except MedrayError:
        return
    space = parse(write(proposal), "study.yaml")
    assert next(iter(space.portfolio)).startswith("probe_")
    for settings_ in space.portfolio.values():
        draw = space.draw_of(settings_)
        assert {name.partition("[")[0] for name in draw} == set(settings_)
        config = space.config(settings_, seed=0, max_epochs=space.budget.max_epochs)
        assert config.pretrained or config.backbone not in (LITE, "resnet18")
    drawn = space.draw(Draws(data))
    config = space.config(drawn, seed=1, max_epochs=3)
    assert (config.optimizer == LBFGS) == (config.trainable_blocks == 0)
    assert config.pretrained == (config.backbone in (LITE, "resnet18"))


def test_probes_come_first_then_what_takes_steps() -> None:
    space = written(counts={"a": 300, "b": 100}, sizes=((28, 28),))
    kinds = [TrainConfig.from_dict(dict(s)).optimizer == LBFGS for s in map(plain_of, space.portfolio.values())]
    assert kinds == sorted(kinds, reverse=True)
    assert list(space.baselines) == ["plain"]  # which a person would start from


def plain_of(settings_: Any) -> dict[str, Any]:
    return {name: value for name, value in settings_.items() if name != "transforms"}


def test_sizes_are_those_that_a_processor_affords_and_a_gpu_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medray.init.ladder.usable_cores", lambda: 2)
    few = proposed(counts={"a": 300, "b": 100}, sizes=((28, 28),))
    many = proposed(counts={"a": 2_500, "b": 2_500}, sizes=((28, 28),))
    assert Ladder(few, ["lenet5"], gpu=False).probe_sizes == [128, 224]
    assert Ladder(many, ["lenet5"], gpu=False).probe_sizes == [64, 128]
    assert Ladder(many, ["lenet5"], gpu=True).probe_sizes == list(SIDES)


def test_no_mirror_images_where_a_class_has_a_side() -> None:
    sided = proposed(counts={"kidney left": 60, "kidney right": 60})
    assert ladder(sided).poolings == ["stages"]
    assert "mirrored" not in write(sided)
    assert ladder(proposed(counts={"a": 60, "b": 60})).poolings == ["mirrored"]


def test_large_images_are_seen_small_by_networks_from_random_weights() -> None:
    space = written(counts={"a": 300, "b": 300}, sizes=((640, 480),))
    small = [value for key, value in space.values_of("image_size") if key == "space.image_size[2].choice"]
    assert small == [64, 128]
    assert space.baselines["plain"].settings["image_size"] == 64


def test_weights_in_the_folder_are_found_and_others_are_not_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (f"{LITE}.safetensors", "mine.safetensors", "resnet18.pth"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(tmp_path))
    assert find_published() == (LITE,)


def test_backbones_that_do_not_take_the_ladder_s_images_are_left_out_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (
        "a_typing_mistake",
        "resnet10t",
        "vit_small_patch14_dinov2",
        *(f"resnet{n}" for n in (18, 26, 34, 50)),
    )
    for name in names:
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(tmp_path))
    proposal = with_published(propose_study("study", "folder:scans", survey(counts={"a": 60, "b": 60})))
    assert proposal.published == ("resnet10t", "resnet18", "resnet26", "resnet34")
    refused, more = proposal.not_published[1], proposal.not_published[0]
    assert more == "left out: resnet50, as 4 are enough to begin with"
    assert refused.startswith(
        "left out: vit_small_patch14_dinov2 does not take images of 128×128: that is no multiple"
    )
    parse(write(proposal), "study.yaml")


def test_a_folder_of_weights_that_is_not_there_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(tmp_path / "weigths"))
    with pytest.raises(WeightsError, match=r"MEDRAY_WEIGHTS names no folder: .*/weigths"):
        find_published()


def test_weights_in_the_hub_s_cache_need_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDRAY_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = tmp_path / "models--timm--resnet18.a1_in1k" / "snapshots" / "1"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"")
    assert find_published() == ("resnet18",)


def test_without_any_weights_the_study_goes_without_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MEDRAY_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    assert find_published() == ()
    proposal = replace(proposed(counts={"a": 60, "b": 60}), published=())
    assert "portfolio:" not in write(proposal)
    assert "none at hand" in describe_published(proposal)
    assert "MEDRAY_WEIGHTS" in describe_published(proposal)
