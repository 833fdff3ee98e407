"""What a run knows of its models: search, settings, members, output, folds, how to repeat it."""

from dataclasses import asdict

from medray.config import TrainConfig
from medray.console_tables import metric_title, number_with_sd
from medray.decisions.temperature import temperature_text
from medray.ensemble.manifest import Manifest
from medray.report.checklists.items import Answer, Given, NotYet, fact
from medray.report.evidence import Evidence
from medray.runs.nested_results import read_nested
from medray.stats.case_rule import unit_of
from medray.tasks import TASKS
from medray.text import first_names, plural

ENSEMBLE, CROSSVAL, SEARCH = "ensemble", "crossval", "search"
TRAINING = ("optimizer", "learning_rate", "schedule", "batch_size", "weight_decay", "dropout", "transforms")
BALANCED = {"loss": "weighted in the loss", "sampler": "drawn equally often"}


@fact("space", "the settings that were searched, how, by which metric, on which images")
def search(evidence: Evidence) -> Answer:
    """Return the trials and the searched settings; None where the search space can't be read."""
    space = evidence.snapshot.space
    if space is None:
        return None
    names = list(dict.fromkeys(parameter.name for parameter in space.parameters))
    settings = f"{plural(len(names), 'setting')} searched ({first_names(names, 5)})" if names else "none searched"
    how = "baselines only" if evidence.snapshot.facts.options.baselines_only else "Optuna's TPE, ASHA"
    folds = "" if evidence.plan is None else f" and {evidence.plan.folds} folds"
    by = f"by {metric_title(evidence.metric)} on validation{folds}"
    return Given(f"{evidence.summary.trials_line}; {settings}; {how}; {by}")


@fact("leaderboard", "each trial's settings; those of the ensemble's first network")
def training(evidence: Evidence) -> Answer:
    """Return the settings of the training of the ensemble's first network."""
    if evidence.manifest is None:
        return NotYet(ENSEMBLE)
    config = evidence.manifest.members[0].train_config
    values = asdict(config)
    settings = ", ".join(f"{name.replace('_', ' ')} {_written(values[name])}" for name in TRAINING)
    epochs = f"at most {plural(config.epochs, 'epoch')}"
    patience = "" if config.patience is None else f", stopped after {config.patience} that did not better it"
    return Given(f"of the ensemble's first network: {settings}; {epochs}{patience}; all trials in the leaderboard")


@fact("leaderboard", "the ensemble's backbones, input and output")
def networks(evidence: Evidence) -> Answer:
    """Return the ensemble's backbones with their number of weights."""
    manifest = evidence.manifest
    if manifest is None:
        return NotYet(ENSEMBLE)
    weights = {record.number: record.parameters for record in evidence.snapshot.records}
    kinds = {member.train_config.backbone: weights.get(member.trial, 0) for member in manifest.members}
    names = [f"{name} ({count:,} weights)" if count else name for name, count in kinds.items()]
    task = TASKS[manifest.task]
    labels = plural(len(manifest.class_names), task.noun, task.nouns)
    output = f"a sigmoid for each of {labels}" if task.label_sets else f"softmax of {labels}"
    size = "×".join(map(str, manifest.image_shape))
    seen = dict.fromkeys(config.image_size for config in _configs(manifest))
    sides = ["its own size" if side is None else f"{side} px" for side in seen]
    seen_at = "" if list(seen) == [None] else f", seen at {first_names(sides)}"
    members = plural(len(manifest.members), "network")
    return Given(f"{members} of {first_names(names)}; input {size}{seen_at}, {output}")


@fact("", "fresh or published weights, and the seed")
def initialisation(evidence: Evidence) -> Answer:
    """Return what the members' weights began as."""
    if evidence.manifest is None:
        return NotYet(ENSEMBLE)
    begun = dict.fromkeys(_begun(m.train_config, m.weights_licence) for m in evidence.manifest.members)
    fresh = list(begun) == [_begun(TrainConfig())]
    seed = f"; seed {evidence.snapshot.facts.options.seed}"
    return Given(f"{'; '.join(begun)}{seed}", "" if fresh else "on which data those weights were trained")


@fact("selections", "by what epochs, trials and members were selected, on which images")
def selection(evidence: Evidence) -> Answer:
    """Return how the ensemble's members were selected."""
    manifest = evidence.manifest
    if manifest is None:
        return NotYet(ENSEMBLE)
    monitors = dict.fromkeys(metric_title(config.monitor) for config in _configs(manifest))
    comparison, on = evidence.selections, manifest.selected_on
    title = manifest.strategy if comparison is None else comparison.of_ensemble.title
    images = f"{on.images:,} {on.predictions} {unit_of(manifest.cases)}s"
    return Given(
        f"{title}, by {metric_title(on.metric)} on {images}; each network's epoch by {', '.join(monitors)}; never "
        "on test images"
    )


@fact("selections", "the members, their weights in the average, the temperature")
def averaging(evidence: Evidence) -> Answer:
    """Return how the members' answers are joined."""
    manifest = evidence.manifest
    if manifest is None:
        return NotYet(ENSEMBLE)
    if len(manifest.members) == 1:
        return Given(f"one network, no average; {_temperature(manifest)}")
    equal = len({member.weight for member in manifest.members}) == 1
    mean = "mean" if equal else "weighted mean"
    return Given(f"{mean} of the answers of {len(manifest.members)} networks; {_temperature(manifest)}")


@fact("calibration", "how the ensemble's probabilities come about, and what computes them")
def prediction(evidence: Evidence) -> Answer:
    """Return how the ensemble answers for an image."""
    manifest = evidence.manifest
    if manifest is None:
        return NotYet(ENSEMBLE)
    return Given(f"{manifest.averaging}; {_temperature(manifest)}; computed by medray {manifest.medray}")


@fact("", "weighting or sampling of classes in training, temperature after it")
def balance(evidence: Evidence) -> Answer:
    """Return what was done about unequal classes in the members' trainings."""
    manifest = evidence.manifest
    if manifest is None:
        return NotYet(ENSEMBLE)
    task = TASKS[manifest.task]
    ways = dict.fromkeys(config.class_balance for config in _configs(manifest))
    used = [f"{task.nouns} {BALANCED[way]}" for way in ways if way in BALANCED]
    text = ", ".join(used) or f"no weighting or sampling of {task.nouns}"
    return Given(f"{text}; {_temperature(manifest)}", f"why, and for which {task.noun}" if used else "")


@fact("mistakes", "probabilities of the classes, operating points and the rules that set them")
def output(evidence: Evidence) -> Answer:
    """Return the ensemble's output and its thresholds; they stand with the test scores once there are some."""
    manifest = evidence.manifest
    if manifest is None:
        return NotYet(ENSEMBLE)
    points = [
        f"{point.positive} at {point.threshold:.3g} or more ({point.name}, set on {point.set_on} images)"
        for point in manifest.operating_points
    ]
    task = TASKS[manifest.task]
    by_itself = "each label from one half on" if task.label_sets else "the likeliest class"
    decided = first_names(points) if points else f"{by_itself}, no operating point"
    apart = ", which need not sum to 1" if task.label_sets else ""
    anchor = None if evidence.scores is None or evidence.test_predictions is None else "decisions"
    return Given(f"a probability of each {task.noun}{apart}; {decided}", anchor=anchor)


@fact("cross-validation", "cross-validation, nested or of the best settings: mean and deviation over folds")
def folds(evidence: Evidence) -> Answer:
    """Return the procedure's score by nested cross-validation, else the best setting's over folds."""
    nested = read_nested(evidence.run)
    if nested is not None and (spread := nested.held_out(evidence.metric)) is not None:
        score = f"{metric_title(evidence.metric)} {number_with_sd(spread.mean, spread.std)} (mean ± SD)"
        return Given(f"nested, {len(nested.ended)} outer folds, the search in each: {score}", anchor="nested")
    if not evidence.crossval_trials:
        return NotYet(CROSSVAL)
    summary = evidence.run.crossval.read_summary(evidence.crossval_trials[0].number)
    metric = evidence.metric
    score = number_with_sd(summary.mean.get(metric), summary.std.get(metric))
    return Given(f"{len(summary.folds)} folds, trial {summary.trial}: {metric_title(metric)} {score} (mean ± SD)")


@fact("mistakes", "confusion matrices; doubtful labels or worst mistakes")
def mistakes(evidence: Evidence) -> Answer:
    """Return how many images that are not the test split's were got wrong."""
    predictions = evidence.predictions
    if predictions is None:
        return NotYet(SEARCH)
    if (sets := predictions.label_sets) is not None:
        answers = f"{predictions.mistakes:,} of {int(sets.known.sum()):,} answers on {predictions.images} wrong"
        return Given(f"{answers}, called from a probability of one half; counts by label, answers in doubt")
    return Given(f"{predictions.mistakes} of {predictions.images} got wrong; confusion matrices, images in doubt")


@fact("seeds", "versions of medray, Python and the packages")
def versions(evidence: Evidence) -> Answer:
    """Return the versions."""
    facts = evidence.snapshot.facts
    packages = [f"{name} {version}" for name, version in facts.packages.items()]
    return Given(f"medray {facts.medray}, Python {facts.python}, {first_names(packages)}")


@fact("commands", "the commands with their seeds, and the search space as text")
def repetition(evidence: Evidence) -> Answer:
    """Return what repeats the study."""
    version = evidence.snapshot.facts.medray
    return Given(f"commands of medray {version} with their seeds, and the search space as it was searched")


@fact("seeds", "a fingerprint that tells these data from others")
def fingerprint(evidence: Evidence) -> Answer:
    """Return the beginning of the data's fingerprint."""
    return Given(f"{evidence.data.source}, fingerprint {evidence.data.fingerprint[:12]}…")


@fact("", "the ensemble's folder: weights and manifest, which medray predict uses")
def model_files(evidence: Evidence) -> Answer:
    """Return what of the model can be passed on."""
    manifest = evidence.manifest
    if manifest is None:
        return NotYet(ENSEMBLE)
    count = plural(len(manifest.members), "network")
    return Given(f"weights of {count} and the manifest in {evidence.run.ensemble.location}, for medray predict")


def _configs(manifest: Manifest) -> list[TrainConfig]:
    return [member.train_config for member in manifest.members]


def _begun(config: TrainConfig, licence: str | None = None) -> str:
    if config.pretrained:
        return f"published weights of {config.backbone}" + (f" (licence: {licence})" if licence else "")
    return "random weights" if config.weights is None else f"weights of {config.weights}"


def _temperature(manifest: Manifest) -> str:
    if manifest.calibrated_on is None:
        return "no temperature"
    return f"{temperature_text(manifest.temperatures)}, fitted on {manifest.calibrated_on} images"


def _written(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
