"""The tables of a search on narrow terminals: no column but the settings is ever cut."""

import io

import pytest
from rich.console import Console

from medray.config import TrainConfig
from medray.runs.trial_record import TrialRecord
from medray.search.print_introduction import describe_sizes, list_licences
from medray.search.print_search import print_leaderboard
from medray.search.search_progress import SearchProgress, settings_line
from medray.space.loading import parse

WIDTHS = [60, 80, 120]
SETTINGS = TrainConfig(backbone="efficientnet_b0", schedule="one_cycle").to_dict()
RECORDS = [
    TrialRecord(i, "finished", "early_stopping" if i else None, objective=0.9 - i / 100, epochs=40,
                metrics={"accuracy": 0.7123}, settings=SETTINGS)
    for i in range(3)
]  # fmt: skip


def test_a_size_that_is_not_the_images_own_is_said_with_the_settings() -> None:
    assert settings_line(SETTINGS).startswith("efficientnet_b0 adam")
    assert settings_line(TrainConfig(image_size=96).to_dict()).startswith("lenet5 96 px adam")
    assert describe_sizes([64, 96], 96) == "networks see them at 64, 96 pixels, the longer side"
    assert describe_sizes([64, 96], 28).endswith("side; 64 and 96 by enlarging them")


@pytest.mark.parametrize("width", WIDTHS)
def test_the_leaderboard_has_all_columns(width: int) -> None:
    stream = io.StringIO()
    print_leaderboard(RECORDS, "balanced_accuracy", Console(file=stream, width=width))
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for cell in ("rank", "trial", "finished", "epochs", "val balanced_accuracy", "0.8800", "0.7123"):
        assert cell in text
    assert "one_cycle" in text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_live_table_cuts_only_the_settings(width: int) -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=width)
    progress = SearchProgress(console, "balanced_accuracy", 8)
    progress.is_live = True
    for record in RECORDS:
        progress.trial_ended(record)
    progress.trial_started(7, None, TrainConfig())
    console.print(progress.table())
    text = stream.getvalue()
    assert max(map(len, text.splitlines())) <= width
    for cell in ("trial", "waiting", "finished", "val balanced_accuracy", "0/30", "0.8800"):
        assert cell in text


def test_licences_are_listed_where_published_weights_are_used() -> None:
    head = "name: a\ndata: phantom\nobjective: {metric: auc}\nbudget: {trials: 4, max_epochs: 6, grace_epochs: 2, "
    head += (
        "reduction_factor: 2, patience: null}\nspace: {backbone: {choice: [resnet18, hiera_tiny_224, resnet34]}}\n"
    )
    assert list(list_licences(parse(head, "a.yaml"))) == []
    assert list(list_licences(parse(head + "fixed: {pretrained: true}\n", "a.yaml"))) == [
        "licence of starting weights: apache-2.0 (resnet18, resnet34)",
        "licence of starting weights: cc-by-nc-4.0 (hiera_tiny_224); NO COMMERCIAL USE",
    ]
