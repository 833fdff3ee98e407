"""What a run knows of its data: source, counts, splits, preparation, leaks."""

from collections.abc import Sequence

from medray.audit.findings import Finding
from medray.config import TrainConfig
from medray.data.listing.listing import TEST, TRAIN
from medray.report.checklists.items import Answer, Given, fact
from medray.report.evidence import Evidence
from medray.runs.run_facts import DataFacts
from medray.space.preparation import DROP, FAIL, FIRST, KEEP, LESION, NONE, PADDED, STRETCHED, Preparation
from medray.tasks import TASKS
from medray.text import first_names, plural

FITTED = {STRETCHED: "stretched", PADDED: "padded", LESION: "cropped to the lesion and padded"}
RULES = {DROP: "left out", FIRST: "first label taken", FAIL: "an error", KEEP: "kept", NONE: "no label"}


@fact("data", "source, number of images and, where known, of patients")
def source(evidence: Evidence) -> Answer:
    """Return the data's source and size."""
    data = evidence.data
    patients = f" of {plural(data.patients, 'patient')}" if data.patients else ""
    cases = f"; one answer for each {data.cases.by}'s images" if data.cases else ""
    return Given(f"{data.source}: {plural(data.images, 'image')}{patients}{cases}")


@fact("data", "the classes and their images")
def classes(evidence: Evidence) -> Answer:
    """Return the classes or labels with their number of images."""
    data = evidence.data
    counts = [sum(split.classes[c] for split in data.splits.values()) for c in range(len(data.class_names))]
    names = [f"{name} ({count:,})" for name, count in zip(data.class_names, counts, strict=True)]
    several = ", of which an image may have several or none" if evidence.label_sets else ""
    return Given(f"{plural(len(names), evidence.noun, evidence.nouns)}{several}: {first_names(names, 6)} images")


@fact("data", "images of each split and class, patients in all")
def counts(evidence: Evidence) -> Answer:
    """Return the images of each split, and the number of patients."""
    data = evidence.data
    patients = plural(data.patients, "patient") if data.patients else "patients not known"
    return Given(f"{_splits(data)} images; {patients}; by {evidence.noun} in the table")


@fact("data", "images of the test split, and of its rarest class")
def test_size(evidence: Evidence) -> Answer:
    """Return the size of the test split."""
    data = evidence.data
    if TEST not in data.splits:
        return None
    split = data.splits[TEST]
    fewest = min(split.classes)
    rarest = data.class_names[split.classes.index(fewest)]
    return Given(f"{plural(split.images, 'test image')}, {fewest:,} of the rarest {evidence.noun} ({rarest})")


@fact("data", "images of each split, and notes on how splits were drawn")
def partition(evidence: Evidence) -> Answer:
    """Return the splits, and where folds and notes stand."""
    data, plan = evidence.data, evidence.plan
    folds = f"; {plan.folds} folds of train and val" if plan is not None else ""
    return Given(f"{_splits(data)} images{folds}; notes say which splits were drawn here, and how")


@fact("data", "whether splits share images, copies or known patients")
def disjoint(evidence: Evidence) -> Answer:
    """Return the level at which splits are disjoint, or the leaks."""
    data = evidence.data
    if data.leaks:
        return Given(_leaks(data.leaks), "why the leaks were accepted")
    if data.patients:
        return Given("by patient: no patient, image or copy of one is in two splits")
    text = "by image: no image or copy of one is in two splits; which patient an image is of is not known"
    return Given(text, "whether two splits may share a patient")


@fact("data", "size and fitting of the images; what the search for leaks found")
def quality(evidence: Evidence) -> Answer:
    """Return size and fitting of the images, and what the search for leaks found."""
    leaks = evidence.data.leaks
    checked = _leaks(leaks) if leaks else "no leak found: no image, copy or known patient in two splits"
    return Given(f"{_pixels(evidence.data)}; {checked}")


@fact("data", "size and channels, fitting of other sizes, normalisation")
def preprocessing(evidence: Evidence) -> Answer:
    """Return what was done to the pixels."""
    configs = [member.train_config for member in evidence.manifest.members] if evidence.manifest else []
    return Given(f"{_pixels(evidence.data)}, then divided by 255 and {normalisation(configs)}")


def normalisation(configs: Sequence[TrainConfig]) -> str:
    """Return by what mean and deviation networks of these settings normalise; none: of any settings."""
    fresh, theirs = "the training images", "the images that their starting weights were trained on, where known"
    started = {config.pretrained or config.weights is not None for config in configs}
    both = f"{fresh}; of networks that did not begin fresh, {theirs}"
    of = both if len(started) != 1 else theirs if True in started else fresh
    return f"normalised by mean and standard deviation of {of}"


@fact("data", "the image as the only input, with its size")
def inputs(evidence: Evidence) -> Answer:
    """Return the predictors: pixels, nothing else."""
    return Given(f"the pixels of one image, {_size(evidence.data)}; no other variable enters")


@fact("data", "what was done to unreadable files and unclear labels, what was left out")
def missing_data(evidence: Evidence) -> Answer:
    """Return the rules for missing data; None where the search space can't be read."""
    space = evidence.snapshot.space
    return None if space is None else Given(f"{_rules(space.preparation)}; notes say what was left out")


@fact("data", "the classes' shares in training and test images")
def shares(evidence: Evidence) -> Answer:
    """Return the largest difference in a class's share between train and test."""
    data = evidence.data
    train, test = data.splits.get(TRAIN), data.splits.get(TEST)
    if train is None or test is None or not train.images or not test.images:
        return None
    pairs = zip(train.classes, test.classes, strict=True)
    differences = [abs(a / train.images - b / test.images) for a, b in pairs]
    largest = max(differences)
    name = data.class_names[differences.index(largest)]
    return Given(f"both are of one source; a {evidence.noun}'s share differs by at most {largest:.3f} ({name})")


def _splits(data: DataFacts) -> str:
    return ", ".join(f"{name} {split.images:,}" for name, split in data.splits.items())


def _size(data: DataFacts) -> str:
    height, width, channels = data.shape
    return f"{height}×{width}, {'grey' if channels == 1 else 'in colours'}"


def _pixels(data: DataFacts) -> str:
    return f"{_size(data)}; other sizes are {FITTED[data.aspect]}"


def _leaks(leaks: tuple[Finding, ...]) -> str:
    return "LEAK: " + "; ".join(leak.text for leak in leaks)


def _rules(preparation: Preparation) -> str:
    images, labels = preparation.images, preparation.labels
    several = KEEP if TASKS[preparation.task].label_sets else labels.multiple
    rules = {
        "unreadable file": images.unreadable, "missing file": images.missing, "blank label": labels.blank,
        "several labels": several, "two-valued image (a mask)": images.two_valued,
    }  # fmt: skip
    if TASKS[preparation.task].label_sets:
        rules["several labels"] = KEEP
    return "; ".join(
        f"{', '.join(name for name, rule in rules.items() if rule == action)}: {words}"
        for action, words in RULES.items()
        if action in rules.values()
    )
