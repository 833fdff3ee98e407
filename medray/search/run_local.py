"""The local runner of a search: trials one after another in this process, without Ray."""

import contextlib

from medray.cluster.trial_worker import local_worker
from medray.data.dataset import ImageDataset
from medray.search.asha import Rungs
from medray.search.ledger import Ledger, StartedTrial
from medray.signals import uninterrupted


def run_local(ledger: Ledger, dataset: ImageDataset, rungs: Rungs) -> None:
    """Run all trials that are left; Ctrl-C ends it early, and the epoch at hand is done again on resume.

    It takes effect within an epoch, never between: what the run and the study know of a trial agrees.

    A trial has the settings, seeds and threads that it would have in a Ray worker: on a CPU its figures equal, to
    the last digit, those of a Ray search that runs one trial at a time.
    """
    train, val = dataset.split("train"), dataset.split("val")
    with contextlib.suppress(KeyboardInterrupt), local_worker(ledger.space.resources) as worker:
        while ledger.left() and (trial := _start_next(ledger)):
            number, is_baseline = trial.number, trial.baseline is not None
            worker.open(ledger.run.trial(number), train, val, ledger.space.metric, trial.until)
            ended = False
            while not ended:
                result = worker.step()
                with uninterrupted():
                    stopped = rungs.report(number, result.epoch, result.objective, baseline=is_baseline)
                    stopped = stopped or ledger.lacks_time(number, result)
                    ledger.epoch(number, result)
                    ended = stopped or result.done
                    if ended:
                        ledger.end(number, result)


def _start_next(ledger: Ledger) -> StartedTrial | None:
    with uninterrupted():
        return ledger.start_next()
