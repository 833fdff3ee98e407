"""The phantoms of five studies: composition, what distinguishes their classes, and how hard they are."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from medray._types import Array
from medray.data.dataset import ImageDataset
from medray.data.folds import GIVEN, make_folds
from medray.data.load_data import load_data
from medray.data.phantoms import load_phantom
from medray.data.phantoms.canvas import Canvas
from medray.data.phantoms.skin import outline

CLASSES = {  # name, and images in the report
    "glaucoma": {"Normal": 919, "Abnormal": 788},
    "covid": {"NO-COVID": 3, "COVID": 1},
    "bloodcells": {"NEUTROPHIL": 207, "EOSINOPHIL": 88, "LYMPHOCYTE": 33, "MONOCYTE": 21},
    "skin": {"nevus": 528, "melanoma": 152, "seborrheic_keratosis": 120},
    "retinopathy": {"0": 714, "1": 186, "2": 326, "3": 282, "4": 92},
}
CHANNELS = {"glaucoma": 3, "covid": 1, "bloodcells": 3, "skin": 3, "retinopathy": 3}
SMALL = 24

every_study = pytest.mark.parametrize("name", list(CLASSES))


@cache
def drawn(name: str, seed: int = 0, size: int | None = None) -> ImageDataset:
    return load_phantom(name, seed, size)


def of_class(name: str, label: str) -> Array:
    """Return the images of a class as int (n, h, w, channels)."""
    dataset = drawn(name)
    return dataset.images[dataset.labels == dataset.class_names.index(label)].astype(int)


@every_study
def test_a_seed_gives_the_same_images_and_another_seed_others(name: str) -> None:
    small = drawn(name, size=SMALL)
    assert load_phantom(name, size=SMALL).fingerprint == small.fingerprint
    assert not np.array_equal(drawn(name, 1, SMALL).images[:50], small.images[:50])


@every_study
def test_is_of_the_modality_and_says_that_it_is_synthetic(name: str) -> None:
    dataset = drawn(name)
    assert dataset.shape == (48, 48, CHANNELS[name])
    assert 750 <= len(dataset) <= 850
    assert dataset.source == f"phantom:{name}"
    assert [note[:40] for note in dataset.notes] == ["synthetic drawings, not medical images: "]


@every_study
@pytest.mark.parametrize("size", [SMALL, 40])
def test_any_size_shows_the_same_scenes(name: str, size: int) -> None:
    usual, other = drawn(name), drawn(name, size=size)
    assert other.shape[:2] == (size, size)
    assert other.source == f"phantom:{name}?size={size}"
    assert np.array_equal(other.labels, usual.labels)
    coarse = [d.images.reshape(len(d), 8, d.shape[0] // 8, 8, -1, d.shape[2]).mean((2, 4)) for d in (usual, other)]
    assert np.corrcoef(coarse[0].ravel(), coarse[1].ravel())[0, 1] > 0.98


@every_study
def test_classes_have_the_names_and_proportions_of_the_report(name: str) -> None:
    dataset, counts = drawn(name), np.array(list(CLASSES[name].values()))
    assert dataset.class_names == tuple(CLASSES[name])
    assert np.abs(np.bincount(dataset.labels) / len(dataset) - counts / counts.sum()).max() < 0.025


@every_study
@pytest.mark.parametrize("seed", [0, 1])
def test_splits_share_no_patient_and_hold_every_class(name: str, seed: int) -> None:
    dataset = drawn(name, seed, SMALL)
    assert dataset.groups is not None
    patients = {split: set(dataset.groups[rows].tolist()) for split, rows in dataset.splits.items()}
    assert list(patients) == ["train", "val", "test"]
    assert sum(map(len, patients.values())) == len(set(dataset.groups.tolist())) < len(dataset)
    assert sum(map(len, dataset.splits.values())) == len(dataset)
    assert all(dataset.split(split).class_counts().min() > 0 for split in patients)


@every_study
def test_a_linear_model_is_above_chance_but_not_perfect(name: str) -> None:
    dataset = drawn(name, size=SMALL)
    pixels, labels = dataset.images.reshape(len(dataset), -1).astype(np.float32), dataset.labels
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e-4, max_iter=200, tol=1e-2))
    model.fit(pixels[dataset.splits["train"]], labels[dataset.splits["train"]])
    tested = np.concatenate([dataset.splits["val"], dataset.splits["test"]])
    scores = model.predict_proba(pixels[tested])
    areas = [roc_auc_score(labels[tested] == label, scores[:, label]) for label in range(scores.shape[1])]
    assert 0.55 < np.mean(areas) < 0.97


@every_study
def test_a_source_says_how_many_of_which_size_are_drawn(name: str) -> None:
    dataset = load_data(f"phantom:{name}?images=200&size=24&seed=1")
    assert dataset.shape[:2] == (24, 24)
    assert 195 <= len(dataset) <= 200
    assert dataset.source == f"phantom:{name}?seed=1&size=24&images=200"
    assert load_data(dataset.source, phantom="organs").fingerprint == dataset.fingerprint
    assert load_data("phantom?size=24&images=200&seed=1", phantom=name).fingerprint == dataset.fingerprint
    if name == "glaucoma":
        assert len(make_folds(dataset, None, 0)) == 10


# -- glaucoma


def test_ten_folds_hold_out_each_image_once_and_no_patient_on_both_sides() -> None:
    dataset = drawn("glaucoma")
    assert dataset.folds is not None
    assert np.array_equal(dataset.folds[0][0], dataset.splits["train"])
    assert np.array_equal(dataset.folds[0][1], dataset.splits["val"])
    shares = [len(dataset.splits[split]) / len(dataset) for split in ("train", "val", "test")]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    folds = make_folds(dataset, None, 0)
    assert (folds.kind, len(folds)) == (GIVEN, 10)
    held_out = np.concatenate([fold.val for fold in folds.folds])
    pool = np.concatenate([dataset.splits["train"], dataset.splits["val"]])
    assert np.array_equal(np.sort(held_out), np.sort(pool))


def test_the_cup_is_larger_in_glaucoma_but_its_area_alone_does_not_decide() -> None:
    dataset = drawn("glaucoma")
    red, blue = dataset.images[..., 0].astype(int), dataset.images[..., 2].astype(int)
    area = ((red > 60) & (blue > 0.55 * red)).mean((1, 2))
    assert area[dataset.labels == 1].mean() > 1.5 * area[dataset.labels == 0].mean()
    assert 0.75 < roc_auc_score(dataset.labels, area) < 0.97


def test_the_field_is_a_disc_on_black_and_a_patients_eyes_are_mirrored() -> None:
    dataset = drawn("glaucoma")
    assert dataset.images[:, :4, :4].max() < 12
    assert dataset.images[:, 24, 24, 0].min() > 30
    assert dataset.groups is not None
    second = np.flatnonzero(np.diff(dataset.groups) == 0) + 1
    assert np.array_equal(dataset.labels[second], dataset.labels[second - 1])
    unmirrored, mirrored = (
        np.mean(
            [np.abs(dataset.images[i].astype(int) - other).mean() for i, other in zip(second, others, strict=True)]
        )
        for others in (dataset.images[second - 1], dataset.images[second - 1, :, ::-1])
    )
    assert mirrored < unmirrored


# -- covid


def test_covid_is_rough_in_both_lungs_and_hardly_lighter() -> None:
    for columns in (slice(6, 18), slice(30, 42)):
        lungs = [of_class("covid", label)[:, 10:34, columns, 0] for label in ("COVID", "NO-COVID")]
        rough = [np.median(np.abs(np.diff(lung, 2, 2)).mean((1, 2)) / lung.std((1, 2))) for lung in lungs]
        assert rough[0] > 1.1 * rough[1]
        assert abs(lungs[0].mean() - lungs[1].mean()) < lungs[1].mean((1, 2)).std()


def test_the_view_goes_with_the_class_a_little() -> None:
    dataset = drawn("covid")
    lying = dataset.subgroups["view"] == "AP"
    assert set(dataset.subgroups["view"].tolist()) == {"AP", "PA"}
    shares = [lying[dataset.labels == label].mean() for label in (0, 1)]
    assert 0.2 < shares[0] < shares[1] - 0.1 < 0.65


# -- bloodcells


def nuclei(images: Array) -> Array:
    """Return which pixels are of the nucleus, (n, h, w)."""
    nucleus: Array = (images[..., 1] < 90) & (images[..., 2] > images[..., 0])
    return nucleus


def solidity(images: Array) -> float:
    """Return the share of a nucleus's pixels with nucleus on all four sides."""
    nucleus = nuclei(images)
    within = nucleus.copy()
    for shift, axis in ((1, 1), (-1, 1), (1, 2), (-1, 2)):
        within &= np.roll(nucleus, shift, axis)
    return float(np.mean(within.sum((1, 2)) / nucleus.sum((1, 2))))


def test_every_smear_has_one_nucleus_which_is_in_lobes_in_some_types() -> None:
    assert nuclei(drawn("bloodcells").images.astype(int)).mean((1, 2)).min() > 0.01
    solid = {label: solidity(of_class("bloodcells", label)) for label in CLASSES["bloodcells"]}
    assert min(solid["LYMPHOCYTE"], solid["MONOCYTE"]) > max(solid["NEUTROPHIL"], solid["EOSINOPHIL"]) + 0.1


def test_eosinophils_are_redder_and_monocytes_larger() -> None:
    def red(label: str) -> float:
        images = of_class("bloodcells", label)
        return float((images[..., 0] - images[..., 1] > 75).mean())

    assert red("EOSINOPHIL") > 1.5 * red("NEUTROPHIL")
    areas = {label: nuclei(of_class("bloodcells", label)).mean() for label in ("MONOCYTE", "NEUTROPHIL")}
    assert areas["MONOCYTE"] > 1.1 * areas["NEUTROPHIL"]


# -- skin


def test_the_classes_of_val_are_not_in_trains_proportions() -> None:
    dataset = drawn("skin")
    train, val, test = (dataset.split(split).class_counts() for split in ("train", "val", "test"))
    assert np.abs(train / train.sum() - np.array([1372, 374, 254]) / 2000).max() < 0.01
    assert np.abs(val / val.sum() - np.array([78, 30, 42]) / 150).max() < 0.01
    assert np.abs(test / test.sum() - train / train.sum()).max() < 0.01


def blue_or_black(images: Array) -> float:
    red, blue = images[:, 8:-8, 8:-8, 0], images[:, 8:-8, 8:-8, 2]
    return float(((red < 60) | (blue > red)).mean())


def contrast(images: Array) -> float:
    return float(images[:, 12:-12, 12:-12].mean(-1).std((1, 2)).mean())


@pytest.mark.parametrize("measure", [blue_or_black, contrast])
def test_a_melanoma_has_other_colours_than_one_brown(measure: Callable[[Array], float]) -> None:
    melanoma, nevus, keratosis = (
        measure(of_class("skin", c)) for c in ("melanoma", "nevus", "seborrheic_keratosis")
    )
    assert melanoma > 1.1 * max(nevus, keratosis)


def test_the_more_uneven_a_lesion_the_more_ragged_its_border() -> None:
    centres = (np.arange(48, dtype=np.float32) + 0.5) / 24 - 1
    x, y = (np.broadcast_to(at, (80, 48, 48)) for at in (centres[None, None, :], centres[None, :, None]))
    canvas = Canvas(x, y, np.random.default_rng(0), 0.0)
    uneven = np.repeat(np.array([0.2, 0.8], np.float32), 40).reshape(-1, 1, 1)
    lesions = outline(canvas, uneven, 0.1)[0] > 0.5
    edges = sum(np.abs(np.diff(lesions.astype(int), axis=axis)).sum((1, 2)) for axis in (1, 2))
    raggedness = (edges / np.sqrt(lesions.sum((1, 2)))).reshape(2, 40).mean(1)
    assert raggedness[1] > 1.1 * raggedness[0]


# -- retinopathy


def test_lesions_rise_with_the_grade_and_labels_are_off_by_one_at_most_at_times() -> None:
    dataset = drawn("retinopathy")
    red = dataset.images[..., 0].astype(float)
    middle = red[:, 8:40, 8:40]
    spots = np.abs(middle - np.median(middle, axis=(1, 2), keepdims=True)).mean(axis=(1, 2))
    means = [spots[dataset.labels == grade].mean() for grade in range(5)]
    assert means == sorted(means)
    assert 0.5 < np.corrcoef(spots, dataset.labels)[0, 1] < 0.95
