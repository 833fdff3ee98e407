import optuna
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from medray.runs.rundir import RunDir
from medray.search.optuna_study import STARTUP_TRIALS, SpreadTPE, StudyFile

optuna.logging.set_verbosity(optuna.logging.ERROR)
CHOICES = ["a", "b", "c", "d", "e", "f"]


def draw(study: optuna.Study, seed: int, number: int, first: int = 0) -> dict[str, object]:
    study.sampler = SpreadTPE(seed, number, number - first)
    trial = study.ask()
    trial.suggest_categorical("choice", CHOICES)
    trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    trial.suggest_float("share", 0.0, 0.5)
    trial.suggest_int("size", 2, 5)
    study.tell(trial, float(trial.params["share"]))
    return dict(trial.params)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 3))
def test_first_draws_see_every_choice_and_every_part_of_a_range(seed: int, first: int) -> None:
    study = optuna.create_study()
    drawn = [draw(study, seed, number, first) for number in range(first, first + 6)]
    assert sorted(str(d["choice"]) for d in drawn) == CHOICES
    strata = {int(float(str(d["share"])) / 0.5 * STARTUP_TRIALS) for d in drawn}
    assert len(strata) == 6
    assert all(1e-4 <= float(str(d["rate"])) <= 1e-1 and 2 <= int(str(d["size"])) <= 5 for d in drawn)


def test_a_resumed_study_draws_what_an_unbroken_one_would(tmp_path: object) -> None:
    unbroken = optuna.create_study()
    all_drawn = [draw(unbroken, 3, number) for number in range(14)]
    first = optuna.create_study()
    for number in range(12):
        draw(first, 3, number)
    second = optuna.create_study()
    second.add_trials(first.trials)
    assert [draw(second, 3, number) for number in (12, 13)] == all_drawn[12:]


def test_what_a_killed_driver_left_half_written_is_mended(tmp_path: object) -> None:
    run = RunDir(str(tmp_path))
    study = StudyFile(run).open("min")
    for number in range(3):
        draw(study, 0, number)
    path = StudyFile(run).path
    with path.open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    path.with_name(path.name + ".lock").symlink_to(path)
    again = StudyFile(run).open("min")
    assert len(again.trials) == 3
    draw(again, 0, 3)
    assert (
        len(optuna.load_study(study_name="medray", storage=JournalStorage(JournalFileBackend(str(path)))).trials)
        == 4
    )


def test_of_many_trials_the_best_the_running_and_the_latest_are_remembered() -> None:
    from medray.search.optuna_study import BestAndLatest

    study = optuna.create_study(direction="minimize")
    for number in range(400):
        trial = study.ask()
        trial.suggest_float("x", 0, 1)
        if number == 7:
            continue  # goes on running
        state = TrialState.PRUNED if number % 3 == 0 else TrialState.COMPLETE
        study.tell(trial, None if state == TrialState.PRUNED else abs(number - 50), state=state)
    numbers = [trial.number for trial in BestAndLatest(study)._get_trials(deepcopy=False)]
    complete = [n for n in range(250) if n % 3 and n != 7]  # trial 7 runs beside the 150 latest that have ended
    best = sorted(complete, key=lambda n: (abs(n - 50), n))[:25]
    assert numbers == sorted([*best, 7, *range(250, 400)])
    small = optuna.create_study()
    small.ask()
    assert len(BestAndLatest(small)._get_trials(deepcopy=False)) == 1
