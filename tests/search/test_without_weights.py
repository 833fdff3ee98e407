"""Published weights that can't be had: a search does without their backbones, says so, and still does on resume."""

import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from safetensors.torch import save_file

from medray.config import TrainConfig
from medray.errors import ConfigError, WeightsError
from medray.runs.finished_search import open_finished_search
from medray.search.run_search import run_search
from medray.search.search_options import SearchOptions
from medray.search.without_weights import backbones_without_weights
from medray.space.loading import load_space, parse
from medray.space.shipped import shipped_spaces
from medray.training.models import build_network
from medray.weights import hub_answers
from tests.space.test_search_space import Answers, Drawing

LITE = "tf_efficientnet_lite0"
SPACE = """
name: mine
data: phantom
objective: {metric: auc}
budget: {trials: 6, max_epochs: 1, grace_epochs: 1, reduction_factor: 2, patience: null}
space:
  backbone: {choice: [tf_efficientnet_lite0, lenet5, resnet8_small]}
  pretrained:
    - {choice: [true], when: {backbone: tf_efficientnet_lite0}}
    - {choice: [false], when: {backbone: lenet5}}
  trainable_blocks: {choice: [0], when: {backbone: tf_efficientnet_lite0}}
  optimizer:
    - {choice: [lbfgs], when: {backbone: tf_efficientnet_lite0}}
    - {choice: [adam], when: {backbone: [lenet5, resnet8_small]}}
  weight_decay: {log: [0.0001, 0.1], when: {trainable_blocks: 0}}
  learning_rate: {log: [0.001, 0.01], when: {optimizer: adam}}
baselines:
  published:
    {backbone: tf_efficientnet_lite0, pretrained: true, trainable_blocks: 0, optimizer: lbfgs, weight_decay: 0.001}
  plain: {backbone: lenet5, pretrained: false, optimizer: adam, learning_rate: 0.001}
portfolio:
  probe:
    {backbone: tf_efficientnet_lite0, pretrained: true, trainable_blocks: 0, optimizer: lbfgs, weight_decay: 0.001}
  small: {backbone: lenet5, pretrained: false, optimizer: adam, learning_rate: 0.002}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The local folder of weights; no hub answers, and none is cached."""
    folder = tmp_path / "weights"
    folder.mkdir()
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    return folder


def write_weights(folder: Path) -> None:
    """Write weights of the published backbone."""
    network = build_network(TrainConfig(backbone=LITE), (28, 28, 3), 11)
    tensors = {
        name: tensor.contiguous() for name, tensor in network.get_submodule("backbone").state_dict().items()
    }
    save_file(tensors, folder / f"{LITE}.safetensors")


def test_a_backbone_is_left_out_where_neither_folder_nor_hub_has_its_weights(folder: Path) -> None:
    space = parse(SPACE, "mine.yaml")
    assert backbones_without_weights(space) == (LITE,)
    (folder / f"{LITE}.safetensors").write_bytes(b"")
    assert backbones_without_weights(space) == ()


def test_weights_in_the_hubs_cache_are_at_hand(folder: Path) -> None:
    snapshot = folder.parent / f"hub/models--timm--{LITE}.in1k/snapshots/abc"
    snapshot.mkdir(parents=True)
    space = parse(SPACE, "mine.yaml")
    assert backbones_without_weights(space) == (LITE,)
    (snapshot / "model.safetensors").write_bytes(b"")
    assert backbones_without_weights(space) == ()


ALONE = """
name: alone
data: phantom
objective: {metric: auc}
budget: {trials: 6, max_epochs: 1, grace_epochs: 1, reduction_factor: 2, patience: null}
space:
  backbone: {choice: [tf_efficientnet_lite0]}
  learning_rate: {log: [0.001, 0.01]}
fixed: {pretrained: true}
"""


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "text",
    [
        ALONE,
        ALONE.replace("lite0]", "lite0, lenet5]").replace("fixed: {pretrained: true}", ""),
        ALONE.replace("lite0]", "lite0, lenet5]").replace("fixed: {pretrained: true}", "")
        + "  pretrained: {choice: [true, false]}\n",
        ALONE.replace("  backbone: {choice: [tf_efficientnet_lite0]}\n", "").replace(
            "true}", f"true, backbone: {LITE}}}"
        ),
    ],
    ids=["no other", "never", "not always", "fixed"],
)
def test_backbones_stay_that_are_the_only_ones_or_need_no_weights(text: str) -> None:
    assert backbones_without_weights(parse(text, "mine.yaml")) == ()


def test_a_folder_of_weights_that_is_none_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDRAY_WEIGHTS", str(folder / "missing"))
    with pytest.raises(WeightsError, match="MEDRAY_WEIGHTS names no folder"):
        backbones_without_weights(parse(SPACE, "mine.yaml"))


class Mirror(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.send_error(403)

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.mark.usefixtures("folder")
def test_a_hub_that_refuses_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    assert hub_answers()
    server.shutdown()
    server.server_close()
    assert not hub_answers()


PRETRAINED = (LITE, "vgg16", "resnet18", "efficientnet_b0")


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(shipped_spaces()), st.sets(st.sampled_from(PRETRAINED), min_size=1), st.data())
def test_what_is_drawn_without_backbones_could_be_drawn_with_them(
    name: str, backbones: set[str], data: st.DataObject
) -> None:
    space = load_space(name)
    less = space.without(backbones)
    drawn = less.draw(Drawing(data))
    assert drawn["backbone"] not in backbones
    assert less.config(drawn, seed=0, max_epochs=20).backbone == drawn["backbone"]
    assert space.draw_of(drawn) == less.draw_of(drawn)  # by the same labels
    assert all(settings["backbone"] not in backbones for settings in less.portfolio.values())
    assert less.baselines.keys() == space.baselines.keys()
    for name, baseline in less.baselines.items():
        drawn = {} if baseline.compare_only else less.draw(Answers(less.baseline_draw(name)))
        less.config(drawn, seed=0, max_epochs=20, baseline=name)


def test_a_search_without_weights_says_so_once_and_goes_on_without(
    folder: Path, npz: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(SPACE)

    def search(**options: object) -> SimpleNamespace:
        out = io.StringIO()
        values = {"data": str(npz), "out": str(tmp_path / "run"), "runner": "local", **options}
        result = run_search(SearchOptions(str(tmp_path / "mine.yaml"), **values), Console(file=out, width=300))  # type: ignore[arg-type]
        return SimpleNamespace(records=result.records, output=out.getvalue())

    first = search(trials=5)
    line = f"without {LITE}: published weights can't be had, as timm's hub can't be reached and $MEDRAY_WEIGHTS"
    assert first.output.count(line) == 1
    assert f"names no folder with {LITE}.safetensors" in first.output
    assert json.loads((tmp_path / "run/run.json").read_text())["options"]["without"] == [LITE]
    write_weights(folder)  # what was drawn so far was drawn without it
    again = search(resume=True, trials=9)
    assert f"without {LITE}, as when this search began" in again.output
    assert len(again.records) == 9
    assert open_finished_search(str(tmp_path / "run")).space.portfolio.keys() == {"small"}
    failed = [record for record in again.records if record.state == "failed"]
    assert [record.baseline for record in failed] == ["published"]  # which was asked for by name
    assert all(record.settings["backbone"] != LITE for record in again.records if record not in failed)


def test_a_typing_mistake_in_a_backbone_is_no_lack_of_weights(folder: Path, npz: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(SPACE.replace(LITE, "tf_efficientnet_lite00"))
    options = SearchOptions(str(tmp_path / "mine.yaml"), data=str(npz), out=str(tmp_path / "run"), runner="local")
    with pytest.raises(ConfigError, match=r"space.backbone.choice: .*did you mean 'tf_efficientnet_lite0'"):
        run_search(options, Console(file=io.StringIO()))


def test_a_shipped_space_climbs_its_ladder(folder: Path, tmp_path: Path) -> None:
    write_weights(folder)
    options = SearchOptions(
        "organs",
        data="phantom:organs?images=300",
        trials=10,
        max_epochs=1,
        out=str(tmp_path / "run"),
        runner="local",
    )
    result = run_search(options, Console(file=io.StringIO()))
    probes = [
        record for record in result.records if record.settings["backbone"] == LITE and record.number in (5, 6)
    ]
    assert [(record.state, record.settings["weight_decay"]) for record in probes] == [
        ("finished", 0.00003), ("finished", 0.000005),
    ]  # fmt: skip
