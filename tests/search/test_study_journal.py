import itertools
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from medray.search.optuna_study import BestAndLatest
from medray.search.study_journal import StudyJournal, StudyStorage
from tests.search.simulated import Clock, ledger_in, run_all

optuna.logging.set_verbosity(optuna.logging.ERROR)


def ours(path: Path) -> tuple[StudyJournal, optuna.Study]:
    journal = StudyJournal(path)
    return journal, optuna.create_study(storage=StudyStorage(journal), study_name="s", load_if_exists=True)


def theirs(path: Path) -> optuna.Study:
    return optuna.load_study(study_name="s", storage=JournalStorage(JournalFileBackend(str(path))))


def facts(study: optuna.Study) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.state, t.params, t.values, t.user_attrs, t.system_attrs, t.intermediate_values)
        for t in study.trials
    ]


def train(study: optuna.Study, state: TrialState) -> None:
    trial = study.ask()
    trial.suggest_float("x", 0, 1)
    trial.report(0.5, 1)
    trial.set_user_attr("note", trial.number)
    if state != TrialState.RUNNING:
        study.tell(trial, 0.25 if state == TrialState.COMPLETE else None, state=state)


def test_optuna_reads_after_a_write_what_the_study_holds(tmp_path: Path) -> None:
    journal, study = ours(tmp_path / "j")
    study.enqueue_trial({"x": 0.125}, user_attrs={"baseline": "plain"})
    for state in (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING):
        train(study, state)
        journal.write()
        assert facts(theirs(tmp_path / "j")) == facts(study)
    assert facts(ours(tmp_path / "j")[1]) == facts(study)
    assert not (tmp_path / "j.lock").exists()


def written_with_ctrl_c(journal: StudyJournal, line: int) -> bool:
    """Write the journal with Ctrl-C at that line of the code that does it; return whether there is such a line."""
    lines = itertools.count()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if "site-packages/optuna" not in frame.f_code.co_filename and frame.f_code.co_name != "write":
            return None
        if event == "line" and next(lines) == line:
            signal.raise_signal(signal.SIGINT)
        return trace

    before = sys.gettrace()
    try:
        sys.settrace(trace)
        journal.write()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_any_line_of_a_write_neither_loses_nor_doubles_an_operation(tmp_path: Path) -> None:
    for line in itertools.count():
        path = tmp_path / str(line)
        journal, study = ours(path)
        train(study, TrialState.COMPLETE)
        interrupted = written_with_ctrl_c(journal, line)
        journal.write()
        assert facts(theirs(path)) == facts(study)
        assert [file.name for file in tmp_path.glob(f"{line}*")] == [str(line)]
        if not interrupted:
            assert line > 15
            return


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["ask", "enqueue", "tell"]), st.integers(0, 5)), max_size=30))
def test_the_storage_finds_the_trials_that_optunas_own_finds(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _, study = ours(Path(folder) / "j")
        plain, running = super(StudyStorage, study._storage), list[optuna.Trial]()
        for step, number in steps:
            if step == "enqueue":
                study.enqueue_trial({"x": 0.5})
            elif step == "ask" or not running:
                running.append(study.ask())
            else:
                state = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)[number % 3]
                value = 1.0 if state == TrialState.COMPLETE else None
                study.tell(running.pop(number % len(running)), value, state=state)
            for states in (None, (TrialState.WAITING,), (TrialState.COMPLETE, TrialState.RUNNING)):
                expected = plain.get_all_trials(study._study_id, False, states)  # type: ignore[misc]
                assert study.get_trials(deepcopy=False, states=states) == expected


def test_a_killed_process_loses_what_was_not_written_and_no_trial(tmp_path: Path) -> None:
    _, study = ours(tmp_path / "j")
    train(study, TrialState.COMPLETE)
    assert [t.state for t in theirs(tmp_path / "j").trials] == [TrialState.RUNNING]


def test_a_note_and_a_trial_of_another_program_change_no_number(tmp_path: Path) -> None:
    journal, study = ours(tmp_path / "j")
    train(study, TrialState.COMPLETE)
    other = theirs(tmp_path / "j")
    other.set_user_attr("note", "by optuna-dashboard")
    other.ask().suggest_float("x", 0, 1)
    train(study, TrialState.COMPLETE)
    journal.write()
    assert study.trials[-1].number == 2
    assert study.trials[-1].user_attrs == {"note": 2}
    assert study.user_attrs == {"note": "by optuna-dashboard"}
    assert facts(theirs(tmp_path / "j")) == facts(study)


def test_a_damaged_line_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("no JSON\n")
    with pytest.raises(ValueError, match="Expecting value"):
        StudyJournal(tmp_path / "j")


def test_a_trial_costs_few_writes_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bool] = []
    syncs: list[int] = []
    real = StudyJournal.write

    def counted(journal: StudyJournal) -> None:
        writes.append(bool(journal.unwritten))
        real(journal)

    monkeypatch.setattr(StudyJournal, "write", counted)
    monkeypatch.setattr("medray.search.study_journal.os.fsync", syncs.append)
    clock = Clock()
    ledger = ledger_in(tmp_path, clock, None, trials=60, epochs=1, grace=1)
    writes.clear()
    run_all(ledger, clock, dict.fromkeys(("lenet5", "resnet8_small", "cnn5"), 1.0))
    assert sum(writes) <= 4 * 60  # the trial, its settings, its epoch, its end
    assert len(syncs) < 30  # one a second


STATES = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL, TrialState.RUNNING]


class Few(BestAndLatest):
    BEST, LATEST = 2, 4


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STATES), st.integers(0, 3)), max_size=24), st.data())
def test_what_is_kept_from_draw_to_draw_is_what_a_new_look_gives(
    ends: list[tuple[TrialState, int]], data: st.DataObject
) -> None:
    direction: str = data.draw(st.sampled_from(["minimize", "maximize"]))
    study = optuna.create_study(direction=direction)
    kept = Few(study)
    for state, value in ends:
        trial = study.ask()
        if state != TrialState.RUNNING:
            study.tell(trial, value if state == TrialState.COMPLETE else None, state=state)
        running = [t.number for t in study.trials if t.state == TrialState.RUNNING]
        if running and value:  # one that was overtaken ends
            number: int = data.draw(st.sampled_from(running))
            study.tell(number, value)
        kept.read()
        for states in ((TrialState.COMPLETE, TrialState.PRUNED), (*STATES[:2], TrialState.RUNNING), (STATES[3],)):
            numbers = [t.number for t in kept._get_trials(deepcopy=False, states=states)]
            assert numbers == reference(study, states)


def reference(study: optuna.Study, states: tuple[TrialState, ...]) -> list[int]:
    """The rule in one sentence: the latest running ones, the latest ended ones, and the best complete of the others."""
    trials: list[FrozenTrial] = [t for t in study.trials if t.state in states]
    if len(trials) <= Few.BEST + Few.LATEST:
        return [t.number for t in trials]
    sign = -1 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1
    running = [t for t in trials if t.state == TrialState.RUNNING][-Few.LATEST :]
    ended = [t for t in trials if t.state != TrialState.RUNNING]
    older, latest = ended[: -Few.LATEST], ended[-Few.LATEST :]
    complete = [t for t in older if t.state == TrialState.COMPLETE]
    best = sorted(complete, key=lambda t: sign * (t.value or 0.0))[: Few.BEST]
    return sorted(t.number for t in (*best, *running, *latest))
