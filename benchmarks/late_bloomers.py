"""Does ASHA stop the networks that would have won? Learning curves of a real data set, judged by its rules.

Trains the same settings to their last epoch twice: with BatchNorm evaluated by its running averages, as
PyTorch leaves it, and with its statistics measured anew before each evaluation, as fit() does. Then plays two
sets of rungs over the curves, in the order of the trials:

    usual    first rung at epoch 3, the epoch's own accuracy, one in two goes on, from the second trial on
    medray   first rung at epoch 10, the best AUC so far, one in two goes on, from the fifth trial on

and prints whom each would have stopped, and where that network stood in the end.

    uv run python benchmarks/late_bloomers.py path/to/breastmnist.npz [--epochs 30]
"""

import argparse
import itertools
from dataclasses import dataclass

import torch

from medray.config import TrainConfig
from medray.data.dataset import ImageDataset
from medray.data.load_data import load_data
from medray.search.asha import Rungs
from medray.space.search_space import Budget
from medray.training import loop
from medray.training.loop import fit


@dataclass
class Curve:
    """One network's validation figures, epoch by epoch."""

    name: str
    accuracy: list[float]
    auc: list[float]

    @property
    def final(self) -> float:
        """What it was worth in the end."""
        return max(self.auc)


def configs(epochs: int) -> list[tuple[str, TrainConfig]]:
    """Narrow, wide, and wide networks with BatchNorm, each with four settings."""
    found = []
    for backbone, (rate, dropout) in itertools.product(
        ("lenet5", "lenet5_wide", "lenet5_wide_bn"), ((0.001, 0.0), (0.003, 0.3), (0.001, 0.3), (0.0005, 0.5))
    ):
        config = TrainConfig(
            backbone=backbone,
            learning_rate=rate,
            dropout=dropout,
            epochs=epochs,
            batch_size=128,
            schedule="cosine",
        )
        found.append((f"{backbone} lr {rate:g} dropout {dropout:g}", config))
    return found


def curves(dataset: ImageDataset, epochs: int) -> list[Curve]:
    """Train every setting to its end."""
    train, val = dataset.split("train"), dataset.split("val")
    found = []
    for name, config in configs(epochs):
        results = [r.metrics for r in fit(config, train, val)]
        found.append(Curve(name, [m["accuracy"] for m in results], [m["auc"] for m in results]))
    return found


def stopped_as_usual(found: list[Curve], grace: int = 3) -> dict[str, int]:
    """ASHA as it comes: each rung against the median of those before, by the epoch's own accuracy."""
    from ray.tune.schedulers.async_hyperband import _Bracket

    bracket = _Bracket(grace, len(found[0].accuracy), 2, 0)
    ends = {}
    for curve in found:
        for epoch, value in enumerate(curve.accuracy, start=1):
            trial = type("T", (), {"trial_id": curve.name})()
            if bracket.on_result(trial, epoch, value) == "STOP":
                ends[curve.name] = epoch
                break
    return ends


def stopped_by_medray(found: list[Curve], grace: int = 10) -> dict[str, int]:
    """The search's own rungs."""
    epochs = len(found[0].auc)
    rungs = Rungs(Budget(len(found), epochs, grace, 2, None), epochs, "max")
    ends = {}
    for number, curve in enumerate(found):
        for epoch in range(1, epochs + 1):
            if rungs.report(number, epoch, max(curve.auc[:epoch])):
                ends[curve.name] = epoch
                break
    return ends


def show(title: str, found: list[Curve]) -> None:
    """Print the curves' marks, and whom the rungs stop."""
    usual, ours = stopped_as_usual(found), stopped_by_medray(found)
    order = sorted(found, key=lambda curve: -curve.final)
    print(f"\n{title}")
    print(f"{'':34}{'accuracy at epoch':>24}{'auc at epoch':>14}{'best':>8}{'':>4}stopped at epoch")
    print(f"{'':34}{1:>8}{3:>8}{10:>8}{3:>7}{10:>7}{'auc':>8}{'':>4}{'usual':>7}{'medray':>8}")
    for curve in order:
        marks = "".join(f"{curve.accuracy[e - 1]:8.3f}" for e in (1, 3, 10))
        aucs = "".join(f"{curve.auc[e - 1]:7.3f}" for e in (3, 10))
        ends = f"{usual.get(curve.name, '-'):>7}{ours.get(curve.name, '-'):>8}"
        print(f"{curve.name:34}{marks}{aucs}{curve.final:8.3f}{'':>4}{ends}")
    best = {curve.name for curve in order[:4]}
    print(f"of the best four: usual stops {len(best & set(usual))}, medray stops {len(best & set(ours))}")


def main() -> None:
    """Train, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--epochs", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(2)
    dataset = load_data(given.data)
    anew = loop._Training._recalibrate
    loop._Training._recalibrate = lambda self: None  # type: ignore[method-assign]
    show("BatchNorm by its running averages", curves(dataset, given.epochs))
    loop._Training._recalibrate = anew  # type: ignore[method-assign]
    show("BatchNorm measured anew", curves(dataset, given.epochs))


if __name__ == "__main__":
    main()
