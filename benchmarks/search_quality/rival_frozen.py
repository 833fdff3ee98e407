"""Support vector machine and logistic regression on a frozen network's features: scikit-learn, C by five folds.

Features are computed at rising sizes as long as there is time for the next one; of all classifiers the one with
the best validation AUC is handed over.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .handover import Task
from .rival_trainer import Arrays, classifier_scores

SIDES = (64, 96, 128, 160, 224)  # pixels that images are resized to
STRENGTHS = np.logspace(-4, 2, 7)
FOLDS, BATCH = 5, 32


def load_network(weights: Path, name: str) -> nn.Module:
    """Return the pre-trained network without its last layer."""
    import timm

    overlay = {"file": str(weights / f"{name}.safetensors")}
    network: nn.Module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0)
    return network.eval()


@torch.inference_mode()
def features_of(network: nn.Module, images: Tensor, side: int) -> np.ndarray[Any, Any]:
    """Return features (n, width) of uint8 images (n, C, H, W), resized to a square; grey ones as colours."""
    parts = []
    for part in images.split(BATCH):
        inputs = part.float() / 127.5 - 1
        inputs = nn.functional.interpolate(inputs, (side, side), mode="bicubic", antialias=True)
        parts.append(network(inputs.expand(-1, 3, -1, -1)))
    return torch.cat(parts).numpy()


def fitted(features: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], seed: int) -> Iterator[tuple[str, Any]]:
    """Yield fitted classifiers, each with its C chosen by cross-validation."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)

    def scoring(classifier: Any, features: Any, labels: Any) -> float:
        return classifier_scores(classifier, features, labels)[0]

    for name, classifier, key in (
        ("regression", LogisticRegression(max_iter=2000), "logisticregression__C"),
        ("svm", SVC(), "svc__C"),
    ):
        grid = {key: STRENGTHS if name == "regression" else np.logspace(-1, 2, 4)}
        search = GridSearchCV(make_pipeline(StandardScaler(), classifier), grid, scoring=scoring, cv=folds)
        yield name, search.fit(features, labels)


def main() -> None:
    """Fit on features of rising size, hand over the best, measure it on test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    task = Task.read(parser.parse_args().task)
    torch.set_num_threads(task.threads)
    arrays = Arrays.load(task.data)
    best: tuple[float, Any, nn.Module, int] | None = None
    trials, last, extracting, fitting = 0, 0, 0.0, 0.0  # seconds of the last features and of their classifiers
    assert task.weights is not None, "frozen features need --weights"
    for side in SIDES:
        for path in sorted(task.weights.glob("*.safetensors")):
            if last and extracting * (side / last) ** 2 + fitting > task.left:
                break
            started = time.time()
            network = load_network(task.weights, path.stem)
            tables = {s: features_of(network, arrays.images[s], side) for s in ("train", "val")}
            extracting = time.time() - started
            for name, classifier in fitted(tables["train"], arrays.labels["train"].numpy(), task.seed):
                auc, _, _ = classifier_scores(classifier, tables["val"], arrays.labels["val"])
                task.epoch(f"{path.stem} {side} {name}", auc)
                trials += 1
                if best is None or auc > best[0]:
                    best = (auc, classifier, network, side)
            fitting, last = time.time() - started - extracting, side
    assert best is not None
    task.hand_over(trials)
    _, classifier, network, side = best
    features = features_of(network, arrays.images["test"], side)
    task.test(*classifier_scores(classifier, features, arrays.labels["test"]), arrays.labels["test"])


if __name__ == "__main__":
    main()
