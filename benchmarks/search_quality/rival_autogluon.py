"""AutoGluon's support vector machine on the features of a frozen network (`few_shot_classification`).

Runs under another Python that has autogluon.multimodal (1.6; `--autogluon-python`). Its SVM has no probabilities:
the AUC is of its decision values. It searches nothing, so that it ends before the time is over.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .handover import Task
from .rival_trainer import Arrays


def write_checkpoint(weights: Path, folder: Path) -> Path:
    """Return a folder with the first network of `weights` in the form that AutoGluon takes for a local one."""
    import timm
    from safetensors.torch import load_file

    path = sorted(weights.glob("*.safetensors"))[0]
    network = timm.create_model(path.stem, pretrained=False)
    config = network.pretrained_cfg
    head = config["classifier"]
    state = {name: tensor for name, tensor in load_file(path).items() if not name.startswith(f"{head}.")}
    folder.mkdir()
    torch.save(state, folder / "pytorch_model.bin")
    facts = {name: config[name] for name in ("input_size", "mean", "std", "interpolation", "crop_pct")}
    document = {"architecture": path.stem, "num_features": network.num_features, "pretrained_cfg": facts}
    (folder / "config.json").write_text(json.dumps(document))
    return folder


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


def scores(predictor: Any, table: Any) -> tuple[float, float]:
    """Return AUC and accuracy of the fitted SVM on the images of a table."""
    from sklearn.metrics import roc_auc_score

    labels = table["label"].to_numpy()
    features = next(iter(predictor.extract_embedding(table[["image"]]).values()))
    svm = predictor._learner._svm
    values = svm.decision_function(features)
    if values.ndim == 1:
        auc = roc_auc_score(labels, values)
    else:
        auc = np.mean([roc_auc_score(labels == c, values[:, c]) for c in range(values.shape[1])])
    return float(auc), float((svm.predict(features) == labels).mean())


def main() -> None:
    """Fit, hand over, measure on test."""
    from autogluon.multimodal import MultiModalPredictor

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    task = Task.read(parser.parse_args().task)
    torch.set_num_threads(task.threads)
    assert task.weights is not None, "frozen features need --weights"
    checkpoint = write_checkpoint(task.weights, task.folder / "checkpoint")
    tables = write_images(Arrays.load(task.data), task.folder / "images")
    predictor = MultiModalPredictor(
        label="label", problem_type="few_shot_classification", path=str(task.folder / "autogluon")
    )
    predictor.fit(
        tables["train"],
        hyperparameters={
            "model.names": ["timm_image"],
            "model.timm_image.checkpoint_name": str(checkpoint),
            "env.num_workers": 0,
            "env.num_workers_inference": 0,
        },
        seed=task.seed,
    )
    task.epoch("svm", scores(predictor, tables["val"])[0])
    task.hand_over(1)
    task.test(*scores(predictor, tables["test"]))


if __name__ == "__main__":
    main()
