"""AutoGluon's support vector machine on the features of a frozen network (`few_shot_classification`).

Runs under another Python that has autogluon.multimodal (1.6; `--autogluon-python`). Its SVM has no probabilities:
the AUC is of its decision values. It searches nothing, so that it ends before the time is over.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import torch

from .handover import Task
from .rival_trainer import Arrays, classifier_scores


def use_local_weights(weights: Path) -> str:
    """Let timm take the first network of `weights` for the published one, and return its name.

    AutoGluon takes a folder of its own form too, but not for this kind of problem.
    """
    from timm.models import _registry

    path = sorted(weights.glob("*.safetensors"))[0]
    known = _registry._model_pretrained_cfgs
    for name in (name for name in known if name.partition(".")[0] == path.stem):
        known[name] = dataclasses.replace(known[name], file=str(path), hf_hub_id=None, url="")
    return path.stem


def write_images(arrays: Arrays, folder: Path) -> dict[str, Any]:
    """Return a table (image, label) of each split, with its images as PNG files in `folder`."""
    import pandas as pd
    from PIL import Image

    folder.mkdir()
    tables = {}
    for split, images in arrays.images.items():
        paths = []
        for number, image in enumerate(images.numpy().transpose(0, 2, 3, 1)):
            paths.append(str(folder / f"{split}_{number}.png"))
            Image.fromarray(image.squeeze()).convert("RGB").save(paths[-1])
        tables[split] = pd.DataFrame({"image": paths, "label": arrays.labels[split].numpy()})
    return tables


def scores(predictor: Any, table: Any) -> tuple[float, float, Any]:
    """Return AUC and accuracy of the fitted SVM on the images of a table, and its decision values (n, classes)."""
    features = predictor.extract_embedding(table[["image"]])
    return classifier_scores(predictor._learner._svm, features, table["label"])


def main() -> None:
    """Fit, hand over, measure on test."""
    from autogluon.multimodal import MultiModalPredictor

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    task = Task.read(parser.parse_args().task)
    torch.set_num_threads(task.threads)
    assert task.weights is not None, "frozen features need --weights"
    network = use_local_weights(task.weights)
    tables = write_images(Arrays.load(task.data), task.folder / "images")
    predictor = MultiModalPredictor(
        label="label", problem_type="few_shot_classification", path=str(task.folder / "autogluon")
    )
    predictor.fit(
        tables["train"],
        hyperparameters={
            "model.names": ["timm_image"],
            "model.timm_image.checkpoint_name": network,
            "env.precision": 32,
            "env.num_workers": 0,
            "env.num_workers_inference": 0,
        },
        seed=task.seed,
    )
    task.epoch("svm", scores(predictor, tables["val"])[0])
    task.hand_over(1)
    task.test(*scores(predictor, tables["test"]), tables["test"]["label"])


if __name__ == "__main__":
    main()
