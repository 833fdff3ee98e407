"""Read a run's files as entries of a tracker: the search, its trials, and settings with their folds."""

import json
import uuid
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from medray.json_document import JsonDocument
from medray.runs.leaderboard import rank, usable
from medray.runs.run_facts import RunFacts
from medray.runs.rundir import MANIFEST, RunDir, TrialDir
from medray.runs.trial_record import FINISHED, EpochRecord, TrialRecord
from medray.text import without_secrets
from medray.track.entry import FOLD, INTERRUPTED, RUN_TAG, RUNNING, SEARCH, SETTING, TRIAL, Entry, Value

ROOT = "search"  # the key of the entry that all others belong to
TRACKING, IDENTITY = "tracking", "run.json"  # the folder of what trackers leave in a run, and its own identity


@dataclass(frozen=True)
class TrackedRun(JsonDocument):
    """tracking/run.json: the identity by which trackers know a run again, wherever it is moved."""

    id: str


def run_identity(run: RunDir) -> str:
    """Return the run's identity, which it gets when it is first tracked."""
    folder = run.child(TRACKING)
    if not folder.exists(IDENTITY):
        folder.write_json(IDENTITY, TrackedRun(uuid.uuid4().hex).to_dict())
    return folder.read_document(IDENTITY, TrackedRun).id


def read_entries(run: RunDir, done: Collection[str] = (), *, last: bool = False) -> Iterator[Entry]:
    """Yield the entries of a run that are not `done`, parents first; `last` when no command works in it any more.

    Raises:
        RunError: a file is damaged.
    """
    facts = run.read_facts()
    tags = run_tags(run, facts)
    yield _search(run, facts, tags, last=last)
    for number in run.trial_numbers():
        key, folder = f"trials/{number:04d}", run.trial(number)
        if key not in done and folder.exists(folder.CONFIG):
            yield _training(folder, key, f"trial {number}", TRIAL, ROOT, number, tags, last=last)
    crossval, settings = run.crossval, set[int]()
    for number, fold in crossval.trained_folds():
        setting = f"crossval/{number:04d}"
        if number not in settings and setting not in done:
            yield _setting(run, number, tags, last=last)
        settings.add(number)
        key, folder = f"{setting}/fold_{fold}", crossval.fold(number, fold)
        if key not in done and folder.exists(folder.CONFIG):
            name = f"trial {number} fold {fold}"
            yield _training(
                folder, key, name, FOLD, setting, number, {**tags, "medray.fold": str(fold)}, last=last
            )


def run_tags(run: RunDir, facts: RunFacts) -> dict[str, str]:
    """Return the tags of all of a run's entries: identity, place, fingerprint of the data, medray's version."""
    return {
        RUN_TAG: run_identity(run),
        "medray.location": run.public_location,
        "medray.space": facts.space,
        "medray.metric": facts.metric,
        "medray.data": run.read_data().fingerprint,
        "medray.version": facts.medray,
    }


def _search(run: RunDir, facts: RunFacts, tags: Mapping[str, str], *, last: bool) -> Entry:
    options = facts.options.to_dict()
    settings = flat({**options, "space": facts.space, "metric": facts.metric, "task": run.read_space().task})
    if not last:
        return Entry(ROOT, facts.space, SEARCH, RUNNING, settings=settings, tags=tags)
    records = list(run.records())
    complete = run.read_state().ended_by or len(records) >= (facts.options.trials or float("inf"))
    files = [(run, run.LEADERBOARD), (run, run.SPACE), (run.ensemble, MANIFEST)]
    scores = {"trials": float(len(records))}
    for record in rank(usable(records), facts.mode)[:1]:
        scores |= {"best_trial": float(record.number), **_prefixed("best_val_", record.metrics)}
    return Entry(
        ROOT, facts.space, SEARCH, FINISHED if complete else INTERRUPTED, ended=True, settings=settings, tags=tags,
        scores=scores, files={name: folder.read(name) for folder, name in files if folder.exists(name)},
        step=len(records),
    )  # fmt: skip


def _training(
    folder: TrialDir, key: str, name: str, kind: str, parent: str, number: int, tags: Mapping[str, str], *,
    last: bool,
) -> Entry:  # fmt: skip
    """Return the entry of a trial or a fold."""
    record = folder.record()
    own = {"medray.trial": str(number)}
    if record is not None:
        own |= {"medray.baseline": record.baseline} if record.baseline else {}
        own |= {"medray.ended_by": record.ended_by} if record.ended_by else {}
        own |= {"medray.reason": record.reason} if record.reason else {}
    epochs = folder.epochs()
    settings = folder.read_json(folder.CONFIG)
    return Entry(
        key, name, kind, record.state if record else INTERRUPTED if last else RUNNING, parent,
        ended=record is not None, settings=flat(settings, without=("pipeline",)), tags={**tags, **own},
        epochs=tuple(map(epoch_metrics, epochs)), scores=_training_scores(record) if record else {},
        step=len(epochs),
    )  # fmt: skip


def _setting(run: RunDir, number: int, tags: Mapping[str, str], *, last: bool) -> Entry:
    folder, name = run.crossval.trial(number), f"trial {number} on folds"
    own, key = {**tags, "medray.trial": str(number)}, f"crossval/{number:04d}"
    trial = run.trial(number)
    settings = flat(trial.read_json(trial.CONFIG), without=("pipeline", "seed"))
    if not folder.exists(run.crossval.SUMMARY):
        return Entry(key, name, SETTING, INTERRUPTED if last else RUNNING, ROOT, settings=settings, tags=own)
    summary = run.crossval.read_summary(number)
    scores = {
        **_prefixed("mean_", summary.mean), **_prefixed("std_", summary.std),
        **_prefixed("out_of_fold_", summary.out_of_fold),
    }  # fmt: skip
    return Entry(key, name, SETTING, FINISHED, ROOT, ended=True, settings=settings, tags=own, scores=scores)


def epoch_metrics(record: EpochRecord) -> dict[str, float]:
    """Return the metrics of an epoch by the names that trackers show; those of validation begin with `val_`."""
    return {
        "train_loss": record.train_loss, "learning_rate": record.learning_rate, "seconds": record.seconds,
        **_prefixed("val_", record.metrics),
    }  # fmt: skip


def _training_scores(record: TrialRecord) -> dict[str, float]:
    counts = {"best_epoch": record.best_epoch, "epochs": record.epochs, "parameters": record.parameters}
    return {**counts, **_prefixed("best_val_", record.metrics)} if record.epochs else {}


def _prefixed(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in metrics.items()}


def flat(settings: Mapping[str, Any], without: Collection[str] = ()) -> dict[str, Value]:
    """Return settings as single values: lists and mappings as JSON, nothing secret of a URI, no missing ones."""
    values: dict[str, Value] = {}
    for name, value in settings.items():
        if value is None or name in without or value == []:
            continue
        values[name] = value if isinstance(value, bool | int | float) else _text(value)
    return values


def _text(value: Any) -> str:
    return without_secrets(value if isinstance(value, str) else json.dumps(value))
